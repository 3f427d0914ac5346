//! The figures.

use serde::Serialize;

/// What was measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    pub(crate) payload_bytes: usize,
    /// Items in the list when the measurement began.
    pub(crate) prefilled: usize,
    /// Operations confirmed: `f+1` replicas attest the execution, and the client has verified it.
    pub(crate) confirmed: usize,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// From sending (or, with a rate, from when it was due) to the verified confirmation.
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    /// Bytes on the loopback interface for each operation: between the replicas and with the clients,
    /// headers and acknowledgements included, and all else that used the interface meanwhile.
    pub(crate) loopback_bytes_each: u64,
    /// Processor time of all replicas together for each operation.
    pub(crate) replica_processor_us_each: u64,
    /// Resident memory of each replica at the end.
    pub(crate) resident_bytes: Vec<u64>,
}

impl Report {
    pub(crate) fn print(&self, json: bool) {
        if json {
            // Only maps with keys that are no texts have no JSON form.
            println!("{}", serde_json::to_string(self).unwrap_or_default());
            return;
        }
        let Self { nodes, clients, payload_bytes, prefilled, confirmed, seconds, .. } = self;
        println!(
            "{nodes} replicas, {clients} clients, operations of {payload_bytes} bytes, {prefilled} \
             items before"
        );
        println!("confirmed   {confirmed} in {seconds:.1} s: {:.0} per second", self.per_second);
        println!(
            "latency     p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms",
            self.p50_ms, self.p90_ms, self.p99_ms
        );
        println!("loopback    {} bytes for each operation", self.loopback_bytes_each);
        println!("processor   {} us of all replicas for each", self.replica_processor_us_each);
        let mib: Vec<String> =
            self.resident_bytes.iter().map(|b| format!("{:.0}", *b as f64 / 1_048_576.0)).collect();
        println!("memory      {} MiB", mib.join(", "));
    }
}
