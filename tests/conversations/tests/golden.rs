//! Every file of `files/` is played, and must come out as it says. `UPDATE=1` writes what came out
//! instead: to be read as a diff, and committed only if it can be explained.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::fs;
use std::path::{Path, PathBuf};

use daruma_conversations::{Script, play};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("files");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_conversation_goes_as_its_file_says() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let script = Script::parse(&text);
        let outcomes = play(&script).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let played = script.rewritten(&outcomes);
        if update {
            fs::write(&file, &played).unwrap();
        } else if played != text {
            let line = played.lines().zip(text.lines()).position(|(a, b)| a != b);
            wrong.push(format!(
                "{} differs from line {}:\n{played}",
                file.display(),
                line.map_or_else(|| "its end".to_owned(), |line| (line + 1).to_string()),
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes what came out.", wrong.join("\n"));
}

#[test]
fn a_conversation_is_played_the_same_way_twice() {
    for file in files() {
        let script = Script::parse(&fs::read_to_string(&file).unwrap());
        assert_eq!(play(&script).unwrap(), play(&script).unwrap(), "{}", file.display());
    }
}

#[test]
fn the_cases_that_were_promised_are_there() {
    let names: Vec<_> = files()
        .iter()
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    for name in ["normal_case", "view_change", "stale_ballot", "repair"] {
        assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
    }
}
