//! The program as people and scripts meet it: output, exit codes, folders, processes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use daruma_scenarios::{DevNetwork, Options, checks, one_at_a_time, send_signal, with_network};
use serde_json::Value;

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: None };

/// Runs the program to its end; blocking is fine, the network is other processes.
fn daruma(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(DARUMA).args(arguments).env_remove("DARUMA_CHAIN").output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

fn with<'a>(start: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [start, more].concat()
}

/// The standard output of a command that succeeds.
fn done(arguments: &[&str]) -> Result<String> {
    let output = daruma(arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    Ok(text(&output.stdout))
}

/// The error of a command that must end with `code`, which is one line and shows no secrets of ours.
fn refused(arguments: &[&str], code: i32) -> Result<String> {
    let output = daruma(arguments)?;
    let error = text(&output.stderr);
    ensure!(output.status.code() == Some(code), "{arguments:?}: {:?}: {error}", output.status);
    ensure!(!error.contains("panicked") && !error.contains("backtrace"), "{error}");
    Ok(error)
}

#[test]
fn a_key_is_made_once_for_its_owner_only_and_its_secret_is_never_printed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.key");
    let file = path.to_str().context("a path")?;
    let public = done(&["keys", "new", "--out", file])?;
    let secret = fs::read_to_string(&path)?;
    assert_eq!(fs::metadata(&path)?.mode() & 0o777, 0o600);
    assert_eq!(done(&["keys", "show", file])?, public);
    assert!(public.starts_with("0x") && !public.contains(secret.trim()));
    assert!(refused(&["keys", "new", "--out", file], 2)?.contains("never overwritten"));
    assert_eq!(fs::read_to_string(&path)?, secret);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    let error = refused(&["keys", "show", file], 2)?;
    assert!(error.contains("chmod 600") && !error.contains(secret.trim()), "{error}");
    Ok(())
}

#[test]
fn a_chain_is_made_of_public_keys_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut replicas = Vec::new();
    for index in 0..4 {
        let key = done(&["keys", "new", "--out", &path(&format!("{index}.key"))])?;
        let transport = done(&["keys", "new", "--out", &path(&format!("{index}.transport"))])?;
        replicas.push(format!("n{index},host{index}:7000,{key},{transport}"));
    }
    let chain = path("chain.toml");
    let mut arguments = vec!["chain", "new", "--name", "test", "--automaton", "counter"];
    arguments.extend(["--out", &chain]);
    for replica in &replicas {
        arguments.extend(["--replica", replica]);
    }
    let made = done(&arguments)?;
    assert_eq!(done(&["chain", "check", &chain])?, made);
    let checked: Value = serde_json::from_str(&done(&["chain", "check", &chain, "--json"])?)?;
    assert_eq!((&checked["faulty"], &checked["quorum"]), (&1.into(), &3.into()));
    refused(&arguments, 1)?;
    arguments.extend(["--faulty", "2"]);
    assert!(refused(&arguments, 2)?.contains("n >= 3f+1"));
    fs::write(&chain, fs::read_to_string(&chain)?.replace("faulty = 1", "faulty = 2"))?;
    assert!(refused(&["chain", "check", &chain], 2)?.contains("n >= 3f+1"));
    Ok(())
}

#[test]
fn what_makes_no_sense_ends_with_2_and_says_what_is_allowed() -> Result<()> {
    assert!(refused(&["dev", "--nodes", "0"], 2)?.contains("1 to 64"));
    assert!(refused(&["dev", "--nodes", "4", "--faulty", "2"], 2)?.contains("n >= 3f+1"));
    assert!(refused(&["dev", "--automaton", "none"], 2)?.contains("append-list"));
    refused(&["run", "--chain", "/nowhere", "--config", "/nowhere"], 2)?;
    refused(&["query", "--rpc", "nonsense", "length"], 2)?;
    refused(&["query", "--rpc", "http://127.0.0.1:1", "length", "{"], 2)?;
    refused(&["query", "--rpc", "http://127.0.0.1:1", "length"], 1)?;
    refused(&["status", "--rpc", "http://127.0.0.1:1"], 1)?;
    refused(&["nonsense"], 2)?;
    refused(&[], 2)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_submitted_from_arguments_and_files_and_read_back() -> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let first = network.replicas().first().context("no replica")?;
        let chain = first.chain.display().to_string();
        let urls = network.urls();
        let rpc: Vec<&str> = urls.iter().flat_map(|url| ["--rpc", url]).collect();
        let start = [&["tx", "submit", "--chain", chain.as_str()], &rpc[..]].concat();
        let submit = |more: &[&'static str]| with(&start, more);

        let one: Value = serde_json::from_str(&done(&submit(&["--wait", "--json", "hello"]))?)?;
        ensure!(one["outcome"]["reply"]["index"] == 0, "{one}");
        done(&submit(&["--wait", "{\"append\": \"world\"}"]))?;
        done(&submit(&["--wait", "--hex", "0x616263"]))?;
        let file = network.folder().join("operations");
        let lines: Vec<String> = (0..150).map(|number| format!("line {number}")).collect();
        fs::write(&file, lines.join("\n"))?;
        let file = file.display().to_string();
        let all: Value = serde_json::from_str(&done(&with(&start, &["--file", &file, "--json"]))?)?;
        ensure!(all["confirmed"] == 150 && all["failed"] == 0, "{all}");

        let expected: Vec<String> =
            ["hello", "world", "abc"].map(str::to_owned).into_iter().chain(lines).collect();
        checks::all_agree(network).await?;
        for url in &urls {
            ensure!(checks::read_list(url).await? == expected);
        }
        let item = done(&["query", "--rpc", &first.rpc, "item", "{\"index\": 2}"])?;
        ensure!(item.contains("\"abc\""), "{item}");
        let error = refused(&["query", "--rpc", &first.rpc, "nonsense"], 1)?;
        ensure!(error.contains("length, item, range"), "{error}");
        let status = done(&[&["status"], &rpc[..]].concat())?;
        ensure!(status.lines().count() == 5 && status.contains("serving"), "{status}");

        let key = first.config.with_file_name("consensus.key").display().to_string();
        done(&with(&start, &["--wait", "--key", &key, "as r0"]))?;
        let too_long = "x".repeat(20_000);
        ensure!(refused(&with(&start, &[&too_long]), 2)?.contains("16384"));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_network_starts_again_with_its_chain_and_its_list() -> Result<()> {
    let _turn = one_at_a_time().await;
    let folder = tempfile::tempdir()?;
    let mut chains = Vec::new();
    for round in 0..2 {
        let network = DevNetwork::start(Path::new(DARUMA), FOUR, folder.path()).await?;
        chains.push(network.spec().chain_id());
        let first = network.replicas().first().context("no replica")?;
        let (chain, url) = (first.chain.display().to_string(), first.rpc.clone());
        let item = format!("round {round}");
        done(&["tx", "submit", "--chain", &chain, "--rpc", &url, "--wait", &item])?;
        checks::all_agree(&network).await?;
        let list = checks::read_list(&url).await?;
        ensure!(list.len() == round + 1 && list.last() == Some(&item), "{list:?}");
        let again = folder.path().display().to_string();
        ensure!(refused(&["dev", "--persist", &again], 1)?.contains("runs already"));
        ensure!(refused(&["dev", "--persist", &again, "--nodes", "7"], 2)?.contains("--nodes 4"));
        network.stop().await?;
    }
    ensure!(chains.first() == chains.last());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_end_with_the_process_that_started_them_however_it_ends() -> Result<()> {
    let _turn = one_at_a_time().await;
    for signal in ["TERM", "INT", "KILL"] {
        let folder = tempfile::tempdir()?;
        let network = DevNetwork::start(Path::new(DARUMA), FOUR, folder.path()).await?;
        send_signal(network.dev_pid().context("dev has ended")?, signal)?;
        network.all_gone().await.context(signal)?;
    }
    Ok(())
}

#[test]
fn a_network_ends_by_itself_after_its_time_and_leaves_nothing() -> Result<()> {
    let output = done(&["dev", "--json", "--duration-s", "1"])?;
    let lines: Vec<Value> = output.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 4, "{output}");
    for line in lines {
        let data = line["data"].as_str().context("no data")?;
        ensure!(!Path::new(data).exists(), "{data} is still there");
    }
    Ok(())
}
