//! A process beside the one that measures.
use std::process::Child;

/// A process, killed when dropped.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    /// How long it has been computing, in itself and in the system.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, String> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()));
        let stat = stat.map_err(|error| error.to_string())?;
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = behind_name.split_whitespace().skip(11).take(2);
        let ticks: f64 = fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        // Of 10 ms, on every Linux.
        Ok(ticks / 100.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
