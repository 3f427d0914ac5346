//! `daruma-load`: starts a network, drives it with clients that verify every confirmation, and prints
//! what that took. Everything runs on one machine, the clients included, so the figures are those of
//! the whole machine.

mod load;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use daruma_scenarios::{DevNetwork, Options, Usage, loopback_bytes, usage, with_network};

use crate::load::{Pace, Samples};
use crate::report::Report;

#[derive(Debug, Parser)]
#[command(about = "Measures a network on this machine", max_term_width = 100)]
struct Arguments {
    /// The program [default: `daruma` beside this one].
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Replicas.
    #[arg(long, value_name = "N", default_value_t = 4)]
    nodes: usize,
    /// Clients at once.
    #[arg(long, value_name = "K", default_value_t = 8)]
    clients: usize,
    /// Operations that one client has in flight at once, 1 to 64; its next ones wait until all of them
    /// are confirmed.
    #[arg(long, value_name = "W", default_value_t = 64)]
    in_flight: usize,
    /// Operations that fall due in each second, over all clients, whether earlier ones are confirmed or
    /// not; latency counts from when an operation was due [default: as fast as they are confirmed].
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Bytes of an operation.
    #[arg(long, value_name = "B", default_value_t = 512)]
    payload: usize,
    /// How long to measure.
    #[arg(long, value_name = "S", default_value_t = 20)]
    duration_s: u64,
    /// Items in the list before the measurement begins.
    #[arg(long, value_name = "N", default_value_t = 0)]
    prefill: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What the machine has used at one moment.
struct Meter {
    loopback_bytes: u64,
    replicas: Vec<Usage>,
}

impl Meter {
    fn read(network: &DevNetwork) -> Result<Self> {
        let replicas = network.replicas().iter().map(|replica| usage(replica.pid));
        let replicas = replicas.collect::<Result<_>>()?;
        Ok(Self { loopback_bytes: loopback_bytes()?, replicas })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime
        .context("cannot start threads")
        .and_then(|runtime| runtime.block_on(measure(&arguments)));
    match result {
        Ok(report) => {
            report.print(arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    ensure!((1..=64).contains(&arguments.in_flight), "--in-flight: 1 to 64");
    ensure!(arguments.clients > 0, "--clients: at least 1");
    let program = match &arguments.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("daruma"),
    };
    let options = Options { nodes: arguments.nodes, faulty: None };
    with_network(&program, options, async |network| {
        load::prefill(network, arguments.prefill, arguments.payload).await?;
        let pace = match arguments.rate {
            Some(rate) => Pace::Rate(rate / arguments.clients as f64),
            None => Pace::Closed,
        };
        let before = Meter::read(network)?;
        let duration = Duration::from_secs(arguments.duration_s);
        let samples = load::run(network, arguments, pace, duration).await?;
        let after = Meter::read(network)?;
        report(arguments, &samples, &before, &after)
    })
    .await
}

fn report(
    arguments: &Arguments,
    samples: &Samples,
    before: &Meter,
    after: &Meter,
) -> Result<Report> {
    ensure!(!samples.latencies.is_empty(), "nothing was confirmed");
    let confirmed = samples.latencies.len();
    let processor = after.replicas.iter().zip(&before.replicas);
    let processor: Duration =
        processor.map(|(after, before)| after.processor.saturating_sub(before.processor)).sum();
    Ok(Report {
        nodes: arguments.nodes,
        clients: arguments.clients,
        payload_bytes: arguments.payload,
        prefilled: arguments.prefill,
        confirmed,
        seconds: samples.seconds,
        per_second: confirmed as f64 / samples.seconds,
        p50_ms: samples.percentile_ms(50),
        p90_ms: samples.percentile_ms(90),
        p99_ms: samples.percentile_ms(99),
        loopback_bytes_each: after.loopback_bytes.saturating_sub(before.loopback_bytes)
            / confirmed as u64,
        replica_processor_us_each: processor.as_micros() as u64 / confirmed as u64,
        resident_bytes: after.replicas.iter().map(|used| used.resident_bytes).collect(),
    })
}
