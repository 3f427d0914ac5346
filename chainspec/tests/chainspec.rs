//! The chainspec as its users see it: what parses, what is refused and how, and the chain id.

use daruma_chainspec::{
    AutomatonSpec, ChainSpec, KnownAutomata, Limits, Parameter, ReplicaSpec, SpecDraft, SpecError,
    ViewEstablishment,
};
use daruma_types::{PublicKey, ReplicaId, SecretKey, Signer};

/// The chain id of `golden/four.toml`. If it changes, every existing chain gets another id.
const FOUR_ID: &str = "0xe43bec491a3e46a7cf0f7cf9fe54d244fddc2b3836c546f8b05b3c1ff4b38cd9";
const FOUR: &str = include_str!("golden/four.toml");

fn known() -> KnownAutomata {
    ["counter", "key-value"].into_iter().collect()
}

fn key(seed: u8) -> PublicKey {
    SecretKey::from_bytes(&[seed; 32]).public_key()
}

fn draft(replicas: u8) -> SpecDraft {
    SpecDraft {
        name: "four".into(),
        faulty: None,
        view_establishment: ViewEstablishment::Certified,
        automaton: AutomatonSpec {
            name: "key-value".into(),
            parameters: [
                ("keys_max".to_owned(), Parameter::Integer(1000)),
                ("note".to_owned(), Parameter::Text("a \"quoted\"\nline".into())),
                ("strict".to_owned(), Parameter::Boolean(true)),
            ]
            .into(),
        },
        limits: Limits::default(),
        replicas: (0..replicas)
            .map(|i| ReplicaSpec {
                name: format!("r{i}"),
                key: key(i + 1),
                transport_key: key(i + 101),
                address: format!("127.0.0.1:{}", 7000 + u16::from(i)),
            })
            .collect(),
    }
}

fn refusal(text: &str) -> String {
    match ChainSpec::parse(text, &known()) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_chain_id_of_a_fixed_file_is_fixed() {
    let spec = ChainSpec::parse(FOUR, &known()).unwrap();
    assert_eq!(spec.chain_id().to_string(), FOUR_ID);
    assert_eq!(spec.committee().chain(), spec.chain_id());
    assert_eq!(ChainSpec::generate(draft(4), &known()).unwrap(), spec);
}

#[test]
fn comments_order_and_spelled_out_defaults_do_not_change_the_chain_id() {
    let spec = ChainSpec::generate(draft(4), &known()).unwrap();
    let written = ChainSpec::parse(&spec.to_toml(), &known()).unwrap();
    assert_eq!(written, spec);
    assert_eq!(written.to_toml(), spec.to_toml());
    let shuffled = FOUR.replace("# Four replicas", "#").replace(
        "view_establishment = \"certified\"\nname = \"four\"",
        "name   = 'four'\nview_establishment = 'certified'\nfaulty = 1",
    );
    assert_ne!(shuffled, FOUR);
    assert_eq!(ChainSpec::parse(&shuffled, &known()).unwrap(), spec);
}

#[test]
fn every_value_counts_for_the_chain_id() {
    let changes: [fn(&mut SpecDraft); 15] = [
        |d| d.name.push('x'),
        |d| d.faulty = Some(0),
        |d| d.automaton.name = "counter".into(),
        |d| drop(d.automaton.parameters.remove("strict")),
        |d| drop(d.automaton.parameters.insert("strict".into(), Parameter::Boolean(false))),
        |d| drop(d.automaton.parameters.insert("strict".into(), Parameter::Integer(1))),
        |d| d.limits.operation_bytes_max += 1,
        |d| d.limits.block_bytes_max += 1,
        |d| d.limits.block_transactions_max += 1,
        |d| d.limits.window += 1,
        |d| d.replicas.swap(0, 1),
        |d| d.replicas[3].name.push('x'),
        |d| d.replicas[3].key = key(99),
        |d| d.replicas[3].transport_key = key(99),
        |d| d.replicas[3].address = "127.0.0.1:7009".into(),
    ];
    let mut ids = vec![ChainSpec::generate(draft(4), &known()).unwrap().chain_id()];
    for change in changes {
        let mut changed = draft(4);
        change(&mut changed);
        ids.push(ChainSpec::generate(changed, &known()).unwrap().chain_id());
    }
    ids.push(ChainSpec::generate(draft(5), &known()).unwrap().chain_id());
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before);
}

#[test]
fn the_default_faulty_is_the_most_that_the_replicas_allow() {
    for (n, f) in [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (64, 21)] {
        let spec = ChainSpec::generate(draft(n), &known()).unwrap();
        assert_eq!(spec.thresholds().faulty_max(), f, "n={n}");
    }
}

#[test]
fn three_replicas_cannot_tolerate_one_and_four_can() {
    let with = |n, f| ChainSpec::generate(SpecDraft { faulty: Some(f), ..draft(n) }, &known());
    assert!(with(4, 1).is_ok());
    assert!(matches!(with(3, 1), Err(SpecError::Thresholds(_))));
    assert!(matches!(with(0, 0), Err(SpecError::Thresholds(_))));
    assert!(matches!(with(65, 0), Err(SpecError::Thresholds(_))));
    assert_eq!(
        with(3, 1).unwrap_err().to_string(),
        "faulty, replicas: 3 replicas tolerate at most 0 Byzantine ones, not 1: n >= 3f+1"
    );
}

#[test]
fn a_replica_is_found_by_name_and_transport_key() {
    let spec = ChainSpec::generate(draft(4), &known()).unwrap();
    assert_eq!(spec.id_of_name("r2"), Some(ReplicaId(2)));
    assert_eq!(spec.id_of_name("r4"), None);
    assert_eq!(spec.id_of_transport_key(&key(103)), Some(ReplicaId(2)));
    assert_eq!(spec.id_of_transport_key(&key(3)), None);
}

#[test]
fn the_papers_view_establishment_needs_5f_plus_1_replicas_and_is_another_chain() {
    let automaton = |event_driven_fd| {
        let view_establishment = ViewEstablishment::Automaton { event_driven_fd };
        SpecDraft { faulty: None, view_establishment, ..draft(6) }
    };
    let mut chains = Vec::new();
    for draft in [draft(6), automaton(false), automaton(true)] {
        let spec = ChainSpec::generate(draft, &known()).unwrap();
        assert_eq!(spec.thresholds().faulty_max(), 1);
        assert_eq!(ChainSpec::parse(&spec.to_toml(), &known()).unwrap(), spec);
        assert_eq!(spec.committee().establishment(), spec.view_establishment());
        chains.push(spec.chain_id());
    }
    assert!(chains[0] != chains[1] && chains[1] != chains[2] && chains[0] != chains[2]);
    let five = SpecDraft { faulty: Some(1), replicas: draft(5).replicas, ..automaton(false) };
    let refusal = ChainSpec::generate(five, &known()).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "faulty, replicas: 5 replicas with the view establishment \"automaton\" tolerate at most 0 \
         Byzantine ones, not 1: n >= 5f+1"
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_field_and_what_is_allowed() {
    let first_key = key(1).to_hex();
    for (from, to, said) in [
        (
            "\"certified\"",
            "\"automaton\"\nfaulty = 1",
            "tolerate at most 0 Byzantine ones, not 1: n >= 5f+1",
        ),
        (
            "\"certified\"",
            "\"x\"",
            "view_establishment: found \"x\"; allowed: \"certified\" or \"automaton\"",
        ),
        (
            "\"certified\"",
            "\"certified\"\nevent_driven_fd = false",
            "event_driven_fd: found false; allowed: nothing, unless view_establishment is",
        ),
        ("\"key-value\"", "\"other\"", "found \"other\"; allowed: counter, key-value"),
        ("keys_max = 1000", "keys_max = 1.5", "automaton.parameters.keys_max: found float"),
        ("keys_max = 1000", "keys_max = [1]", "automaton.parameters.keys_max: found array"),
        ("name = \"four\"", "name = \"a b\"", "name: found \"a b\"; allowed: 1 to 64 letters"),
        ("127.0.0.1:7001", "127.0.0.1", "replicas[1].address: found \"127.0.0.1\""),
        ("127.0.0.1:7001", "127.0.0.1:7000", "replicas[1].address: \"127.0.0.1:7000\" is"),
        ("name = \"r1\"", "name = \"r0\"", "replicas[1].name: \"r0\" is replicas[0].name"),
        (&first_key, "0x12", "replicas[0].key: found \"0x12\"; allowed: an Ed25519 public key"),
        (&first_key, &first_key[2..], "replicas[0].key"),
        (&first_key, &format!("0x{}", "00".repeat(32)), "a point of large order"),
        (&key(102).to_hex(), &first_key, "replicas[1].transport_key"),
        (&key(2).to_hex(), &first_key, "replicas[1].key"),
    ] {
        let text = FOUR.replacen(from, to, 1);
        assert_ne!(text, FOUR, "{from} is not in the file");
        let message = refusal(&text);
        assert!(message.contains(said), "{message:?} does not say {said:?}");
    }
}

#[test]
fn a_file_that_is_not_as_declared_is_refused_with_the_field() {
    for (from, to, said) in [
        ("name = \"four\"", "name = \"four\"\ncolour = 1", "unknown field `colour`"),
        ("address = ", "adress = ", "unknown field `adress`"),
        ("name = \"four\"", "name = \"four\"\nname = \"four\"", "duplicate key"),
        ("name = \"four\"\n", "", "missing field `name`"),
        ("view_establishment = \"certified\"\n", "", "missing field `view_establishment`"),
        ("name = \"four\"", "name = 4", "invalid type: integer"),
        ("name = \"four\"", "name = \"four\"\nfaulty = -1", "invalid value"),
        ("name = \"four\"", "name = \"four\nfaulty", "expected `=`"),
    ] {
        let text = FOUR.replacen(from, to, 1);
        assert_ne!(text, FOUR, "{from} is not in the file");
        let message = refusal(&text);
        assert!(message.contains(said), "{message:?} does not say {said:?}");
    }
    assert!(matches!(
        ChainSpec::parse(&"#".repeat(256 * 1024 + 1), &known()),
        Err(SpecError::FileTooLong(_))
    ));
}

#[test]
fn each_limit_is_allowed_at_its_ends_and_refused_beyond_them() {
    let check = |change: fn(&mut Limits, u32), value: u32| {
        let mut limits = Limits::default();
        change(&mut limits, value);
        ChainSpec::generate(SpecDraft { limits, ..draft(4) }, &known()).is_ok()
    };
    type Set = fn(&mut Limits, u32);
    let cases: [(Set, u32, u32); 4] = [
        (|l, v| l.operation_bytes_max = v, 1, 65_536),
        (|l, v| l.block_bytes_max = v, 16_384 + 128, 1_048_576),
        (|l, v| l.block_transactions_max = v, 1, 4096),
        (|l, v| l.window = v, 1, 64),
    ];
    for (set, min, max) in cases {
        assert!(check(set, min) && check(set, max));
        assert!(!check(set, min - 1) && !check(set, max + 1));
    }
}

#[test]
fn any_automaton_passes_for_a_client() {
    let text = FOUR.replacen("\"key-value\"", "\"other\"", 1);
    assert_eq!(ChainSpec::parse(&text, &KnownAutomata::any()).unwrap().automaton().name, "other");
}

#[test]
fn parameters_reach_the_automaton_as_json() {
    let spec = ChainSpec::parse(FOUR, &known()).unwrap();
    assert_eq!(
        spec.automaton().parameters_json(),
        serde_json::json!({ "keys_max": 1000, "note": "a \"quoted\"\nline", "strict": true })
    );
}
