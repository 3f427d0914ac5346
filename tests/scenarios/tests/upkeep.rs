//! What somebody who looks after replicas uses: the heal log, the audit of a stopped replica's data, the doctor,
//! and backups.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use daruma_scenarios::clients::Load;
use daruma_scenarios::{DevNetwork, Options, checks, one_at_a_time, transactions, with_network};
use serde_json::Value;
use tokio::process::Command;

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };

/// Runs a command; gives its exit code, and the JSON it printed.
async fn daruma(arguments: &[&str], paths: &[(&str, &Path)]) -> Result<(i32, Value)> {
    let mut command = Command::new(DARUMA);
    command.args(arguments).arg("--json");
    for (name, path) in paths {
        command.arg(name).arg(path);
    }
    let output = command.kill_on_drop(true).output().await?;
    let text = String::from_utf8(output.stdout)?;
    let code = output.status.code().context("it was killed")?;
    let value = match text.trim() {
        "" => Value::from(String::from_utf8_lossy(&output.stderr).into_owned()),
        text => serde_json::from_str(text).with_context(|| text.to_owned())?,
    };
    Ok((code, value))
}

fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let paths = paths.collect::<Result<Vec<_>>>()?;
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(&path)?))).collect()
}

/// Waits until a replica that has just started is connected to two others, without which it is not well.
async fn connected(network: &DevNetwork, index: usize) -> Result<()> {
    for _ in 0..200 {
        if network.status(index).await?.peers_connected >= 2 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("{index} connects to nobody")
}

/// The components in a heal log.
fn components(log: &Value) -> Vec<&str> {
    let records = log["records"].as_array().into_iter().flatten();
    records.filter_map(|record| record["component"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_by_verify_which_changes_nothing_healed_by_a_start_and_told_by_the_heal_log()
-> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions());
    with_network(Path::new(DARUMA), FOUR, async |network| {
        load.start(network)?.finish().await?;
        checks::all_agree(network).await?;
        // A start writes what was in the log to table files.
        network.kill(3).await?;
        network.restart(3).await?;
        let replica = network.replicas().last().context("no replicas")?;
        let (chain, data, rpc) = (replica.chain.clone(), replica.data.clone(), replica.rpc.clone());
        let config = replica.config.clone();
        let paths = [("--chain", chain.as_path()), ("--data", data.as_path())];

        let (code, said) = daruma(&["verify"], &paths).await?;
        ensure!(code == 2, "a running replica's folder was looked at: {said}");
        let doctor = [("--chain", chain.as_path()), ("--config", config.as_path())];
        checks::all_agree(network).await?;
        connected(network, 3).await?;
        let (code, said) = daruma(&["doctor"], &doctor).await?;
        ensure!(code == 0 && said["running"] == true, "a healthy replica has a problem: {said}");

        network.kill(3).await?;
        let (code, said) = daruma(&["verify", "--execute"], &paths).await?;
        ensure!(
            code == 0 && said["clean"] == true,
            "a killed replica's folder is not clean: {said}"
        );
        ensure!(said["lookedAt"]["blocks executed anew"].as_u64() > Some(0), "{said}");
        let (code, said) = daruma(&["doctor"], &doctor).await?;
        ensure!(code == 0 && said["running"] == false, "a stopped replica has a problem: {said}");

        let ledger = data.join("ledger");
        for (path, mut bytes) in files(&ledger)? {
            if path.extension().is_some_and(|extension| extension == "sst") {
                bytes[30] ^= 1;
                fs::write(path, bytes)?;
            }
        }
        let before = files(&ledger)?;
        let (code, said) = daruma(&["verify"], &paths).await?;
        let findings = said["findings"].as_array().context("no findings")?;
        ensure!(code == 1 && findings.iter().any(|f| f["row"].is_string()), "{said}");
        ensure!(files(&ledger)? == before, "verify changed the folder");

        network.restart(3).await?;
        checks::all_agree(network).await?;
        let (code, log) = daruma(&["heal-log", "--rpc", &rpc], &[]).await?;
        ensure!(code == 0 && components(&log).contains(&"files"), "{log}");
        let heals = network.status(3).await?.heals.0;
        ensure!(Some(heals) == log["next"].as_u64(), "the status counts {heals}: {log}");
        network.kill(3).await?;
        let (code, said) = daruma(&["verify"], &paths).await?;
        ensure!(code == 0, "what was healed is not clean: {said}");
        network.restart(3).await?;
        checks::all_agree(network).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_replica_is_verified_put_in_place_and_serves() -> Result<()> {
    let _turn = one_at_a_time().await;
    let load = Load::of(transactions());
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let records = load.start(network)?.finish().await?;
        checks::all_agree(network).await?;
        let replica = network.replicas().last().context("no replicas")?;
        let (chain, data, rpc) = (replica.chain.clone(), replica.data.clone(), replica.rpc.clone());
        let out = network.folder().join("backup");
        let to_out = [("--out", out.as_path())];
        let (code, said) = daruma(&["backup", "create", "--rpc", &rpc], &to_out).await?;
        ensure!(code == 0, "{said}");
        let (code, said) = daruma(&["backup", "create", "--rpc", &rpc], &to_out).await?;
        ensure!(code == 2, "a backup was put over another: {said}");
        let (chain, data) = (chain.as_path(), data.as_path());
        let (code, said) = daruma(&["verify"], &[("--chain", chain), ("--data", &out)]).await?;
        ensure!(code == 0, "the backup is not clean: {said}");

        let restore = [("--from", out.as_path()), ("--data", data), ("--chain", chain)];
        let (code, said) = daruma(&["backup", "restore", "--force"], &restore).await?;
        ensure!(code == 2, "a running replica's store was replaced: {said}");
        network.kill(3).await?;
        let (code, said) = daruma(&["backup", "restore"], &restore).await?;
        ensure!(code == 2, "a store was replaced without --force: {said}");
        let (code, said) = daruma(&["backup", "restore", "--force"], &restore).await?;
        ensure!(code == 0, "{said}");
        network.restart(3).await?;
        checks::all_hold(network, &records).await?;
        let (_, log) = daruma(&["heal-log", "--rpc", &rpc], &[]).await?;
        ensure!(log.to_string().contains("restored from a backup"), "{log}");

        // One that was damaged since is not put in place.
        network.kill(3).await?;
        for (path, mut bytes) in files(&out.join("ledger"))? {
            if path.extension().is_some_and(|extension| extension == "sst") {
                bytes[30] ^= 1;
                fs::write(path, bytes)?;
            }
        }
        let before = files(&data.join("ledger"))?;
        let (code, said) = daruma(&["backup", "restore", "--force"], &restore).await?;
        ensure!(code == 1, "a damaged backup was put in place: {said}");
        ensure!(files(&data.join("ledger"))? == before, "a refused restore changed the folder");
        // Of a stopped replica as well.
        let stopped = network.folder().join("stopped");
        let of_stopped = [("--data", data), ("--out", stopped.as_path())];
        let (code, said) = daruma(&["backup", "create"], &of_stopped).await?;
        ensure!(code == 0 && said["about"]["height"].as_u64() > Some(0), "{said}");
        let (code, said) = daruma(&["verify"], &[("--chain", chain), ("--data", &stopped)]).await?;
        ensure!(code == 0, "the copy is not clean: {said}");
        network.restart(3).await?;
        checks::all_agree(network).await?;
        Ok(())
    })
    .await
}
