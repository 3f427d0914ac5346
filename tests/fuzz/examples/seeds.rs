//! Writes the first inputs of every corpus: messages, promises and rows of a simulated run, true texts,
//! and bytes of no meaning. What the fuzzers found is added to them by `cargo fuzz cmin`; see
//! docs/fuzzing.md. `cargo run --release -p daruma-fuzz --example seeds -- FOLDER`

use std::error::Error;
use std::path::Path;

use daruma_fuzz::chain::{chain, history};
use daruma_fuzz::recording::recording;
use daruma_ledger::{LedgerReader, StateKey};
use daruma_rpc_api::{HeaderJson, ReceiptJson, StateCertificateJson, TransactionJson};
use daruma_types::{MerkleProof, codec};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    for target in daruma_fuzz::targets() {
        let mut seeds = seeds(target.name)?;
        let mut random = ChaCha8Rng::seed_from_u64(7);
        // Fewer where true values say more.
        for length in if seeds.is_empty() { [64; 12].to_vec() } else { vec![16, 64] } {
            let length = random.random_range(length..length * 8);
            seeds.push((0..length).map(|_| random.random()).collect());
        }
        let to = folder.join(target.name);
        std::fs::create_dir_all(&to)?;
        for (index, seed) in seeds.iter().enumerate() {
            std::fs::write(to.join(format!("seed-{index:02}")), seed)?;
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
    Ok(())
}

fn seeds(target: &str) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut kinds = std::collections::BTreeMap::<&str, usize>::new();
    let messages = recording().messages.iter().filter(|(_, message)| {
        let seen = kinds.entry(message.name()).or_default();
        *seen += 1;
        *seen <= 2
    });
    Ok(match target {
        "message" => messages.map(|(_, message)| codec::encode(message)).collect(),
        "rows" => rows()?,
        "frames" => {
            let mut stream = vec![0, 1, 0, 5, 0, 9, 0];
            for (_, message) in messages.take(6) {
                let frame = codec::encode(message);
                stream.extend_from_slice(&(frame.len() as u32).to_le_bytes());
                stream.extend_from_slice(&frame);
            }
            vec![stream]
        }
        "chainspec" => chainspecs(),
        "rpc" => json()?,
        "door" => (0..recording().messages.len() as u16)
            .step_by(3)
            .map(|index| [index.to_le_bytes().as_slice(), &[0; 24]].concat())
            .collect(),
        "proofs" => (0..4_u8).map(|kind| vec![kind, 5, 2, 3, 1, 0, 0, 0, 0, 1, 1, 1, 1]).collect(),
        _ => Vec::new(),
    })
}

fn rows() -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut rows: Vec<Vec<u8>> = recording()
        .promises
        .iter()
        .map(|promise| [&[0], codec::encode(promise).as_slice()].concat())
        .collect();
    let history = history();
    let reader = LedgerReader::new(Arc::clone(&history.store) as Arc<_>, chain().id());
    let last = history.blocks.last().ok_or("no history")?;
    let height = last.certificate.height;
    let mut row = |kind: u8, bytes: Vec<u8>| rows.push([&[kind], bytes.as_slice()].concat());
    row(1, codec::encode(last.block.as_ref()));
    row(2, codec::encode(&last.certificate));
    row(3, codec::encode(&reader.receipts(height)?.ok_or("no receipts")?));
    row(4, codec::encode(&reader.head()?.statement));
    row(5, codec::encode(&reader.state_certificate(height)?.ok_or("no certificate")?));
    row(8, codec::encode(&last.block.header));
    row(11, codec::encode(&MerkleProof::build(&[last.certificate.hash; 5], 3)));
    row(12, codec::encode(&reader.state_proof(&StateKey::automaton(b"value"))?.proof));
    let transaction = last.block.transactions.first().ok_or("an empty block")?;
    let proof = reader.transaction_proof(&transaction.hash(chain().id()))?.ok_or("no proof")?;
    row(13, codec::encode(&proof));
    row(14, codec::encode(last));
    row(15, codec::encode(transaction));
    Ok(rows)
}

fn chainspecs() -> Vec<Vec<u8>> {
    let key = |i: u8| daruma_types::SecretKey::from_bytes(&[i; 32]);
    let public = |i: u8| daruma_types::Signer::public_key(&key(i));
    let mut text = String::from(
        "name = \"demo\"\nfaulty = 1\nview_establishment = \"certified\"\n\n[automaton]\n\
         name = \"key-value\"\nparameters = { key_bytes_max = 64, a = true, b = \"text\" }\n\n\
         [limits]\noperation_bytes_max = 1024\nwindow = 16\n",
    );
    for i in 0..4_u8 {
        text += &format!(
            "\n[[replicas]]\nname = \"r{i}\"\nkey = \"{}\"\ntransport_key = \"{}\"\naddress = \"h{i}.example:700{i}\"\n",
            public(2 * i + 1),
            public(2 * i + 2)
        );
    }
    let small = text.split("\n[[replicas]]").take(2).collect::<Vec<_>>().join("\n[[replicas]]");
    vec![text.into_bytes(), small.replace("faulty = 1\n", "").into_bytes()]
}

fn json() -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let history = history();
    let reader = LedgerReader::new(Arc::clone(&history.store) as Arc<_>, chain().id());
    let last = history.blocks.last().ok_or("no history")?;
    let transaction = last.block.transactions.first().ok_or("an empty block")?.clone();
    let receipts = reader.receipts(last.certificate.height)?.ok_or("no receipts")?;
    let attested = reader.state_certificate(last.certificate.height)?.ok_or("no certificate")?;
    let header = HeaderJson::from(&last.block.header);
    let mut all = vec![
        (0, serde_json::to_string(&TransactionJson::from(transaction))?),
        (1, "7".into()),
        (1, "\"latest\"".into()),
        (2, format!("\"{}\"", last.certificate.hash)),
        (3, "\"18446744073709551615\"".into()),
        (4, serde_json::to_string(&header)?),
        (10, serde_json::to_string(&StateCertificateJson::from(&attested))?),
        (13, "{\"state\":\"executed\",\"height\":3,\"index\":0}".into()),
        (15, "{\"lagged\":2,\"cursor\":9}".into()),
        (16, "{\"height\":1,\"stateRoot\":\"0x00\",\"answer\":null}".into()),
        (19, "{}".into()),
    ];
    for receipt in receipts {
        all.push((7, serde_json::to_string(&ReceiptJson::new(receipt, None))?));
    }
    Ok(all.into_iter().map(|(kind, text)| [&[kind], text.as_bytes()].concat()).collect())
}
