use super::*;
use crate::random::{Purpose, stream};

const A: ReplicaId = ReplicaId(0);
const B: ReplicaId = ReplicaId(1);
const TICK_US: u64 = 25_000;

fn links(settings: LinkSettings) -> Links {
    Links::new(4, settings, TICK_US, stream(1, Purpose::Links))
}

#[test]
fn a_cut_is_one_way_and_ends_with_calm_unless_it_is_for_ever() {
    let mut links = links(LinkSettings::QUIET);
    links.set_cut(A, B, true);
    assert_eq!(links.send(A, B, 0, 0), [None, None]);
    assert!(links.send(B, A, 0, 0)[0].is_some());
    links.calm();
    assert!(links.send(A, B, 0, 0)[0].is_some());
    assert_eq!(links.mishaps.cut, 1);
    links.cut_forever(A, B);
    links.calm();
    assert_eq!(links.send(A, B, 0, 0), [None, None]);
}

#[test]
fn a_link_is_whole_again_when_the_last_of_its_cuts_has_ended() {
    let mut links = links(LinkSettings::QUIET);
    links.set_cut(A, B, true);
    links.set_cut(A, B, true);
    links.set_cut(A, B, false);
    assert_eq!(links.send(A, B, 0, 0), [None, None]);
    links.set_cut(A, B, false);
    assert!(links.send(A, B, 0, 0)[0].is_some());
}

#[test]
fn an_orderly_link_keeps_order_under_jitter_and_an_unordered_one_does_not() {
    let sorted = |ordered| {
        let settings = LinkSettings { jitter_us: 50_000, ordered, ..LinkSettings::QUIET };
        let mut links = links(settings);
        let times: Vec<u64> =
            (0..200).map(|i| links.send(A, B, i * 10, 0)[0].unwrap().at_us).collect();
        times.is_sorted()
    };
    assert!(sorted(true));
    assert!(!sorted(false));
}

#[test]
fn losses_and_repetitions_come_about_as_often_as_set() {
    let settings = LinkSettings { loss: 300, duplication: 500, ..LinkSettings::QUIET };
    let mut links = links(settings);
    for i in 0..10_000 {
        links.send(A, B, i * 1_000, 0);
    }
    assert!((2_700..3_300).contains(&links.mishaps.lost), "{:?}", links.mishaps);
    assert!((3_200..3_800).contains(&links.mishaps.duplicated), "{:?}", links.mishaps);
}

#[test]
fn corruption_changes_the_bytes_nearly_always() {
    let mut links = links(LinkSettings::QUIET);
    let original = vec![7_u8; 100];
    let changed = (0..1000).filter(|_| {
        let mut bytes = original.clone();
        links.corrupt(&mut bytes);
        bytes != original
    });
    assert!(changed.count() > 900);
}

#[test]
fn a_link_takes_so_many_messages_a_tick_and_loses_what_finds_its_queue_full() {
    let settings = LinkSettings { per_tick: 10, jitter_us: 0, ..LinkSettings::QUIET };
    let mut links = links(settings);
    let arrived: Vec<Arrival> = (0..2_000).filter_map(|_| links.send(A, B, 0, 0)[0]).collect();
    assert_eq!(arrived.len() as u64, limits::LINK_QUEUE_MAX);
    assert_eq!(links.mishaps.over_capacity, 2_000 - limits::LINK_QUEUE_MAX);
    let (first, last) = (arrived[0].at_us, arrived[arrived.len() - 1].at_us);
    let ticks = (last - first) / TICK_US;
    assert_eq!(ticks, (limits::LINK_QUEUE_MAX - 1) / 10);
    // Another link has its own queue.
    assert!(links.send(B, A, 0, 0)[0].is_some());
}

#[test]
fn a_link_narrowed_for_a_while_takes_fewer_messages_a_tick_meanwhile() {
    let mut links = links(LinkSettings { jitter_us: 0, ..LinkSettings::QUIET });
    let narrow = Weather { per_tick: Some(1), ..Weather::NONE };
    links.set_weather(A, B, narrow, 1_000_000);
    let arrives = |links: &mut Links, now_us| links.send(A, B, now_us, 0)[0].unwrap().at_us;
    let first = arrives(&mut links, 0);
    assert_eq!(arrives(&mut links, 0) - first, TICK_US);
    let later = arrives(&mut links, 2_000_000);
    assert!(arrives(&mut links, 2_000_000) - later < TICK_US / 100);
}

#[test]
fn what_is_held_back_on_an_orderly_link_holds_up_what_comes_behind_it() {
    let arrives = |ordered| {
        let mut links = links(LinkSettings { jitter_us: 0, ordered, ..LinkSettings::QUIET });
        let held = links.send(A, B, 0, 500_000)[0].unwrap().at_us;
        (held, links.send(A, B, 1, 0)[0].unwrap().at_us)
    };
    let (held, behind) = arrives(true);
    assert!(behind >= held && held >= 500_000);
    let (held, behind) = arrives(false);
    assert!(behind < held);
}

#[test]
fn a_clog_releases_what_waits_at_its_end_and_in_order() {
    let mut links = links(LinkSettings::QUIET);
    let until_us = 500_000;
    let clog = Weather { clogged_until_us: Some(until_us), ..Weather::NONE };
    links.set_weather(A, B, clog, until_us);
    let times: Vec<u64> =
        (0..20).map(|i| links.send(A, B, i * 1_000, 0)[0].unwrap().at_us).collect();
    assert!(times.iter().all(|at_us| *at_us >= until_us) && times.is_sorted());
    assert!(links.send(A, B, until_us + 1, 0)[0].unwrap().at_us < until_us + 10_000);
    assert_eq!(links.mishaps.clogged, 20);
}

#[test]
fn a_broken_connection_loses_only_what_is_under_way() {
    let mut links = links(LinkSettings { jitter_us: 0, ..LinkSettings::QUIET });
    let churn = Weather { severed_every_us: 100_000, ..Weather::NONE };
    links.set_weather(A, B, churn, 1_000_000);
    assert!(links.send(A, B, 10_000, 0)[0].is_some());
    assert_eq!(links.send(A, B, 99_999, 0), [None, None]);
    assert!(links.send(A, B, 100_001, 0)[0].is_some());
    assert_eq!(links.mishaps.severed, 1);
}

#[test]
fn the_worst_of_all_weather_counts_and_ends_at_its_time() {
    let mut links = links(LinkSettings { jitter_us: 0, ..LinkSettings::QUIET });
    let plain = links.send(A, B, 0, 0)[0].unwrap().at_us;
    links.set_weather(A, B, Weather { slowness: 10, ..Weather::NONE }, 100_000);
    links.set_weather(A, B, Weather { slowness: 3, ..Weather::NONE }, 200_000);
    let delay = |links: &mut Links, now_us| links.send(A, B, now_us, 0)[0].unwrap().at_us - now_us;
    assert_eq!(delay(&mut links, 50_000), 10 * plain);
    assert_eq!(delay(&mut links, 150_000), 3 * plain);
    assert_eq!(delay(&mut links, 250_000), plain);
    links.set_weather(A, B, Weather { loss: 1000, ..Weather::NONE }, 400_000);
    assert_eq!(links.send(A, B, 300_000, 0), [None, None]);
}
