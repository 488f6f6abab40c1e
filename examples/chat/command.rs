//! What a line says: a command, or something to all in the room.

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    Nick(&'a str),
    Join(&'a str),
    Leave,
    Who,
    Rooms,
    Quit,
    Help,
    Unknown(&'a str),
    Say(&'a str),
    Nothing,
}

pub(crate) const HELP: &str =
    "/nick NAME, /join ROOM, /leave, /who, /rooms, /quit; or say something";

impl<'a> Command<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let line = line.trim();
        let Some(words) = line.strip_prefix('/') else {
            return match line {
                "" => Self::Nothing,
                text => Self::Say(text),
            };
        };
        let (name, rest) = words.split_once(' ').unwrap_or((words, ""));
        match (name, rest.trim()) {
            ("nick", name) => Self::Nick(name),
            ("join", room) => Self::Join(room),
            ("leave", "") => Self::Leave,
            ("who", "") => Self::Who,
            ("rooms", "") => Self::Rooms,
            ("quit", "") => Self::Quit,
            ("help", "") => Self::Help,
            (other, _) => Self::Unknown(other),
        }
    }
}

/// Whether somebody or a room may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (1..=20).contains(&name.chars().count()) && name.chars().all(fits)
}

/// The text without what would move a terminal's cursor, or worse.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
