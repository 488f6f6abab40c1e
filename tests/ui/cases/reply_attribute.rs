use actors_core::Message;

#[derive(Message)]
#[reply]
struct Bare;

#[derive(Message)]
#[reply()]
struct Empty;

#[derive(Message)]
#[reply = "String"]
struct Text;

#[derive(Message)]
#[reply(String, u8)]
struct Several;

#[derive(Message)]
#[reply(String)]
#[reply(u8)]
struct Twice;

fn main() {}
