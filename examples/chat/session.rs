//! Somebody who is connected.
use crate::command::{Command, HELP, harmless};
use crate::hall::{Hall, HallApi, Line, Place, Refusal};
use actors_core::{Actor, Addr, Context, Error, Handler};
use actors_net::{Frame, Link, TryLinkError};

pub(crate) struct Session {
    link: Link<String>,
    hall: Addr<Hall>,
    name: String,
    place: Option<Place>,
}

impl Session {
    pub(crate) fn new(link: Link<String>, hall: Addr<Hall>) -> Self {
        Self {
            link,
            hall,
            name: String::new(),
            place: None,
        }
    }

    /// Writes a line, unless too many wait already: who does not read them is sent away.
    fn write(&self, line: String, ctx: &mut Context<Self>) {
        match self.link.try_send(line) {
            Ok(()) => {}
            Err(TryLinkError::Full(_)) => ctx.fail("it reads too slowly"),
            // It ends by itself.
            Err(_) => ctx.stop(),
        }
    }

    /// Does what the line says; gives what is to be answered.
    async fn obey(&mut self, line: &str, ctx: &mut Context<Self>) -> Result<Option<String>, Error> {
        let me = ctx.addr().id();
        let answer = match Command::of(line) {
            Command::Nothing => return Ok(None),
            Command::Nick(name) => match self.hall.rename(me, name.to_owned()).await? {
                Ok(()) => {
                    self.name = name.to_owned();
                    format!("* you are {name}")
                }
                Err(refusal) => no(refusal),
            },
            Command::Join(room) => {
                self.place = None;
                match self.hall.join(me, room.to_owned()).await? {
                    // He is told by the room.
                    Ok(place) => {
                        self.place = Some(place);
                        return Ok(None);
                    }
                    Err(refusal) => no(refusal),
                }
            }
            Command::Leave => {
                self.place = None;
                self.hall.leave(me).await?;
                "* you are in no room".into()
            }
            Command::Who => format!("* here: {}", self.hall.who(me).await?.join(", ")),
            Command::Rooms => {
                let rooms = self.hall.rooms().await?;
                let rooms = rooms
                    .iter()
                    .map(|(name, people)| format!("{name} ({people})"));
                format!("* rooms: {}", rooms.collect::<Vec<_>>().join(", "))
            }
            Command::Help => format!("* {HELP}"),
            Command::Quit => {
                ctx.stop();
                "* goodbye".into()
            }
            Command::Unknown(_) => no("there is no such command; see /help"),
            Command::Say(text) => {
                let Some(place) = &self.place else {
                    return Ok(Some(no("you are in no room; /join one")));
                };
                place
                    .topic
                    .publish(&Line::new(format!("<{}> {}", self.name, harmless(text))));
                return Ok(None);
            }
        };
        Ok(Some(answer))
    }
}

fn no(refusal: Refusal) -> String {
    format!("! {refusal}")
}

impl Actor for Session {
    async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), Error> {
        self.name = self.hall.arrive(ctx.addr()).await?;
        let peer = self.link.peer_addr();
        tracing::info!(%peer, name = self.name, "connected");
        self.write(format!("* welcome, {}; see /help", self.name), ctx);
        Ok(())
    }
}

impl Handler<Frame<String>> for Session {
    async fn handle(&mut self, Frame(line): Frame<String>, ctx: &mut Context<Self>) {
        let place = self.place.as_ref();
        if place.is_some_and(|place| !place.subscription.is_active()) {
            // He has said so much that there was no room for what others say.
            return ctx.fail("it missed what was said");
        }
        match self.obey(&line, ctx).await {
            Ok(None) => {}
            Ok(Some(answer)) => self.write(answer, ctx),
            Err(error) => ctx.fail(error),
        }
    }
}

impl Handler<Line> for Session {
    async fn handle(&mut self, Line(text): Line, ctx: &mut Context<Self>) {
        self.write(text.to_string(), ctx);
    }
}
