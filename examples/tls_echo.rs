//! A server that gives each line back, encrypted: with certificates from PEM files, or with one that
//! it makes for `localhost`.
//!
//! `cargo run --release --example tls_echo -- --make FOLDER`, and in another terminal
//! `openssl s_client -connect localhost:7002 -CAfile FOLDER/certificate.pem -quiet`. With `--clients`
//! only those are let in who have a certificate of their own, with `--allow` only some of them. On
//! SIGHUP the files are read again; connections that are there go on.
use actors_core::{Actor, Context, Error, Handler};
use actors_net::{Frame, Link, Listener, ServerTls};
use clap::Parser;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio_util::codec::LinesCodec;

/// Gives each line back, encrypted.
#[derive(Parser)]
struct Options {
    /// Where to listen: `host:port`, or `unix:path`.
    #[arg(default_value = "127.0.0.1:7002")]
    address: String,
    /// The server's certificate, and those of who has signed it.
    #[arg(long, requires = "key", required_unless_present = "make")]
    certificate: Option<PathBuf>,
    /// The certificate's private key.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Makes a certificate and a key, in this folder.
    #[arg(long, conflicts_with = "certificate")]
    make: Option<PathBuf>,
    /// Lets only those in whose certificate one of these has signed.
    #[arg(long)]
    clients: Option<PathBuf>,
    /// Of these, lets only those in who have this name; may be given several times.
    #[arg(long, requires = "clients")]
    allow: Vec<String>,
}

#[derive(Actor)]
struct Echo {
    link: Link<String>,
}

impl Handler<Frame<String>> for Echo {
    async fn handle(&mut self, Frame(line): Frame<String>, _: &mut Context<Self>) {
        // Refused only once the connection has ended, and then this actor ends too.
        let _ = self.link.send(line).await;
    }
}

#[actors_core::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let tls = tls(&options)?;
    let listener = Listener::bind(&options.address)?
        .tls(tls.clone())
        .serve(LinesCodec::new, |link| Echo { link });
    let address = listener.address().clone();
    let listener = listener.spawn();
    let served = async {
        println!("listening at {address}");
        listener.stopped().await
    };
    tokio::select! {
        // In this order, so that signals are waited for before anybody knows of the server.
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        error = reload(&tls) => return Err(error),
        reason = served => return Err(format!("the listener {reason}").into()),
    }
    listener.stop();
    println!("the listener {}", listener.stopped().await);
    Ok(())
}

fn tls(options: &Options) -> Result<ServerTls, Error> {
    let (certificate, key) = match (&options.make, &options.certificate, &options.key) {
        (Some(folder), ..) => make(folder)?,
        (None, Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => return Err("neither a certificate nor a folder for one".into()),
    };
    let mut tls = ServerTls::from_pem_files(certificate, key)?;
    if let Some(clients) = &options.clients {
        tls = tls.clients_signed_by(clients)?;
    }
    if !options.allow.is_empty() {
        tls = tls.allow(&options.allow);
    }
    Ok(tls)
}

/// Makes a certificate for `localhost` that signs itself, and its key.
fn make(folder: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::create_dir_all(folder)?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem())?;
    let mut file = fs::OpenOptions::new();
    file.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(&key)?
        .write_all(made.signing_key.serialize_pem().as_bytes())?;
    println!("trust {}", certificate.display());
    Ok((certificate, key))
}

/// Reads the files again on each SIGHUP; with an error, all goes on as it was.
#[cfg(unix)]
async fn reload(tls: &ServerTls) -> Error {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return error.into(),
    };
    while hangups.recv().await.is_some() {
        match tls.reload() {
            Ok(()) => tracing::info!("the certificates were read again"),
            Err(error) => tracing::error!(%error, "the certificates stay as they were"),
        }
    }
    "no more signals come".into()
}

#[cfg(not(unix))]
async fn reload(_: &ServerTls) -> Error {
    std::future::pending().await
}
