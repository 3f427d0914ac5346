//! Files of a replica are damaged while it is down. It starts, serves again by itself, and has the state
//! of the others (catalogue C-D03, C-D04).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use daruma_scenarios::clients::{Load, Record};
use daruma_scenarios::{DevNetwork, Options, checks, one_at_a_time, transactions, with_network};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DARUMA: &str = env!("CARGO_BIN_EXE_daruma");
const FOUR: Options = Options { nodes: 4, faulty: Some(1) };

/// A kind of file of RocksDB: what its name begins and ends with, and which a replica cannot open its
/// store without.
const KINDS: [(&str, &str, &str); 6] = [
    ("tables", "", ".sst"),
    ("log of writes", "", ".log"),
    ("list of files", "MANIFEST-", ""),
    ("current list", "CURRENT", ""),
    ("options", "OPTIONS-", ""),
    ("identity", "IDENTITY", ""),
];

/// What becomes of a file.
type Damage = fn(&Path, &Path) -> Result<()>;

const DAMAGES: [(&str, Damage); 7] = [
    ("deleted", |file, _| Ok(fs::remove_file(file)?)),
    ("cut in half", |file, _| change(file, |bytes| bytes.truncate(bytes.len() / 2))),
    ("emptied", |file, _| change(file, Vec::clear)),
    ("zeroed", |file, _| change(file, |bytes| bytes.fill(0))),
    ("one bit", |file, _| change(file, |bytes| flip(bytes, 1))),
    ("a thousand bits", |file, _| change(file, |bytes| flip(bytes, 1000))),
    ("another replica's", |file, other| Ok(fs::write(file, fs::read(other)?)?)),
];

fn change(file: &Path, by: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = fs::read(file)?;
    by(&mut bytes);
    Ok(fs::write(file, bytes)?)
}

fn flip(bytes: &mut [u8], count: usize) {
    let length = bytes.len();
    for number in 0..count {
        if let Some(byte) = bytes.get_mut((2 * number + 1) * length / (2 * count)) {
            *byte ^= 0x10;
        }
    }
}

fn files(folder: &Path, (_, begin, end): (&str, &str, &str)) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(begin) && name.ends_with(end)
    });
    files.sort();
    Ok(files)
}

/// Confirms transactions until there are table files; gives what was confirmed, the data folder of the last
/// replica, and the files of the one before it.
async fn with_tables(network: &mut DevNetwork) -> Result<(Vec<Record>, PathBuf, PathBuf)> {
    let records = Load::of(transactions()).start(network)?.finish().await?;
    // A start writes what was in the log to table files.
    network.kill(2).await?;
    network.restart(2).await?;
    checks::all_hold(network, &records).await?;
    let [.., other, last] = network.replicas() else { bail!("too few replicas") };
    Ok((records, last.data.clone(), other.data.join("ledger")))
}

#[tokio::test(flavor = "multi_thread")]
async fn c_d03_c_d04_a_replica_with_damaged_files_serves_again_with_the_state_of_the_others()
-> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let (records, data, other) = with_tables(network).await?;
        let damaged = data.join("ledger");
        println!("{:20} {:20} {:>8}", "files", "damage", "ms");
        for kind in KINDS {
            for (name, damage) in DAMAGES {
                network.kill(3).await?;
                let strange = files(&other, kind)?;
                for (index, file) in files(&damaged, kind)?.iter().enumerate() {
                    let strange = strange.get(index).or(strange.first());
                    damage(file, strange.context("the other replica has no such file")?)?;
                }
                let begin = Instant::now();
                network.restart(3).await.with_context(|| format!("{} {name}", kind.0))?;
                checks::all_agree(network).await.with_context(|| format!("{} {name}", kind.0))?;
                println!("{:20} {name:20} {:>8}", kind.0, begin.elapsed().as_millis());
            }
        }
        checks::all_hold(network, &records).await?;
        Ok(())
    })
    .await
}

/// Rounds in which all files are damaged, each in a way that chance chooses.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn c_d03_a_replica_all_of_whose_files_are_damaged_among_foreign_ones_serves_again()
-> Result<()> {
    let _turn = one_at_a_time().await;
    with_network(Path::new(DARUMA), FOUR, async |network| {
        let (records, damaged, other) = with_tables(network).await?;
        let mut random = StdRng::seed_from_u64(3);
        for round in 0..ROUNDS {
            network.kill(3).await?;
            let strange = files(&other, ("all", "", ".sst"))?;
            let strange = strange.first().context("the other replica has no tables")?;
            for file in files(&damaged.join("ledger"), ("all", "", ""))? {
                // A part of them stays as it is.
                let damage = DAMAGES.get(random.random_range(0..2 * DAMAGES.len()));
                damage.map_or(Ok(()), |(_, damage)| damage(&file, strange))?;
            }
            for foreign in ["ledger/999999.sst", "ledger/000001.log", "ledger/notes", "notes"] {
                fs::write(damaged.join(foreign), random.random::<[u8; 32]>())?;
            }
            fs::create_dir_all(damaged.join("ledger/lost+found"))?;
            let begin = Instant::now();
            network.restart(3).await.with_context(|| format!("round {round}"))?;
            checks::all_agree(network).await.with_context(|| format!("round {round}"))?;
            println!("all files, round {round}: {} ms", begin.elapsed().as_millis());
        }
        checks::all_hold(network, &records).await?;
        Ok(())
    })
    .await
}
