use std::process::ExitCode;

mod inner {
    /// Visible, documented and of another name.
    #[actors_core::main(flavor = "multi_thread", worker_threads = 2)]
    pub async fn run() -> Result<u8, actors_core::Error> {
        Ok(7)
    }
}

#[actors_core::test(flavor = "current_thread", start_paused = true)]
#[should_panic(expected = "on purpose")]
async fn panics() {
    panic!("on purpose");
}

#[actors_core::main]
async fn main() -> ExitCode {
    match tokio::task::spawn_blocking(inner::run).await {
        Ok(Ok(7)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
