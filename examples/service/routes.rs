//! What is served: requests become messages, and what becomes of these an answer.
use super::clerk::{Clerk, Place};
use super::shelf::{Levels, Order, Ordered, Sale, Shelves};
use actors_core::{AskError, Supervisor, WorkerPool};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// What the requests need. The addresses stay valid whatever fails.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) app: Supervisor,
    pub(crate) shelves: Shelves,
    pub(crate) clerks: WorkerPool<Clerk>,
    /// How long a request may take.
    pub(crate) patience: Duration,
}

const LONGEST_ID: usize = 64;

pub(crate) fn router(shop: Shop) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/tree", get(tree))
        .route("/items", get(items))
        .route("/items/{item}/orders/{id}", get(order).put(put_order))
        .layer(DefaultBodyLimit::max(1024))
        .with_state(shop)
}

/// The message was not handled, or nobody knows. Nothing is lost by asking again: an order keeps
/// its id.
struct Unavailable(AskError);

impl From<AskError> for Unavailable {
    fn from(error: AskError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let body = json!({ "error": error.to_string(), "may_have_run": error.may_have_run() });
        let retry = [(header::RETRY_AFTER, "1")];
        (StatusCode::SERVICE_UNAVAILABLE, retry, Json(body)).into_response()
    }
}

#[derive(Deserialize)]
struct Wanted {
    count: u64,
}

async fn put_order(
    State(shop): State<Shop>,
    Path((item, id)): Path<(String, String)>,
    Json(Wanted { count }): Json<Wanted>,
) -> Result<Response, Unavailable> {
    if id.len() > LONGEST_ID || count == 0 {
        let text = format!("an id of at most {LONGEST_ID} bytes, and at least one piece");
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, text).into_response());
    }
    let order = Order { item, id, count };
    // Waits for a clerk that is free. The time limit counts for that, too.
    let placed = shop.clerks.ask(Place { order }).timeout(shop.patience);
    let sale = placed.await??;
    Ok(match sale {
        Sale::New => StatusCode::CREATED.into_response(),
        Sale::Known => StatusCode::OK.into_response(),
        Sale::IdTaken => (StatusCode::CONFLICT, "another order has this id").into_response(),
        Sale::SoldOut(left) => (StatusCode::CONFLICT, format!("{left} are left")).into_response(),
        Sale::NoSuchItem => (StatusCode::NOT_FOUND, "no such item").into_response(),
    })
}

async fn order(
    State(shop): State<Shop>,
    Path((item, id)): Path<(String, String)>,
) -> Result<Response, Unavailable> {
    let shelf = shop.shelves.of(&item);
    let ordered = shelf.ask(Ordered { item, id }).timeout(shop.patience);
    Ok(match ordered.await? {
        Some(count) => Json(json!({ "count": count })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

/// All shelves are asked at the same time.
async fn items(State(shop): State<Shop>) -> Result<Response, Unavailable> {
    let shelves = shop.shelves.all().iter();
    let asked = shelves.map(|shelf| shelf.ask(Levels).timeout(shop.patience));
    let mut levels = try_join_all(asked).await?.concat();
    levels.sort_by(|a, b| a.item.cmp(&b.item));
    Ok(Json(levels).into_response())
}

/// Whether the process does what it should: one that does not is to be started again.
async fn health(State(shop): State<Shop>) -> (StatusCode, String) {
    let health = shop.app.health();
    let status = match health.is_up() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, health.to_string())
}

/// Whether requests are to be sent here: not before all actors are up, and no more when they are
/// stopping.
async fn ready(State(shop): State<Shop>) -> (StatusCode, &'static str) {
    let is_ready = tokio::time::timeout(shop.patience, shop.app.ready());
    match (shop.app.health().is_up(), is_ready.await) {
        (true, Ok(Ok(()))) => (StatusCode::OK, "ready"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    }
}

/// The live tree, to read, or as JSON where that is what is asked for.
async fn tree(State(shop): State<Shop>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let tree = shop.app.tree();
    match accepted.is_some_and(|it| it.contains("application/json")) {
        true => Json(tree).into_response(),
        false => format!("{tree}\n").into_response(),
    }
}
