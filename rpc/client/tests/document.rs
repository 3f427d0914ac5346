//! docs/transactions.md says what the code does.

use daruma_types::{ChainId, Ed25519, Hash, SecretKey, Signer, Transaction};

const DOCUMENT: &str = include_str!("../../../docs/transactions.md");

/// The text after `heading` in the document's example, without line breaks.
fn block_after(heading: &str) -> String {
    let (_, rest) = DOCUMENT.split_once(heading).unwrap_or_default();
    let (_, rest) = rest.split_once("```text\n").unwrap_or_default();
    let (block, _) = rest.split_once("```").unwrap_or_default();
    block.split_whitespace().collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).unwrap_or_default();
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair:?} is no hex"))
    });
    digits.collect()
}

#[test]
fn the_example_of_the_document_is_what_the_code_computes() {
    let seed: [u8; 32] = std::array::from_fn(|i| i as u8);
    let key = SecretKey::from_bytes(&seed);
    let chain = ChainId(Hash([0x11; 32]));
    let (nonce, operation) = (1_700_000_000_000_000, vec![0, 5, 0, 0, 0, 0, 0, 0, 0]);
    for text in [
        format!("| seed | `{}` |", &Hash(seed).to_hex()[2..]),
        format!("| public key | `{}` |", &key.public_key().to_hex()[2..]),
        format!("| chain id | `{}` |", &chain.0.to_hex()[2..]),
        format!("| nonce | {nonce}, which is `00401e18240a0600` |"),
        "| operation | `000500000000000000` (9 bytes".to_owned(),
    ] {
        assert!(DOCUMENT.contains(&text), "the document does not say {text:?}");
    }
    let signed = Transaction::signed_bytes(chain, &key.public_key(), nonce, &operation);
    assert_eq!(signed.len(), 107);
    assert_eq!(hex(&block_after("The signed bytes (107):")), signed);
    let transaction = Transaction::sign(chain, &key, nonce, operation);
    assert_eq!(hex(&block_after("The signature:")), transaction.signature.0);
    assert_eq!(hex(&block_after("The transaction's name:")), transaction.hash(chain).0);
    assert_eq!(transaction.verify(chain, 9, &Ed25519), Ok(()));
}
