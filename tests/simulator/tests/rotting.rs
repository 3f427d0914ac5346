//! Rows of executed blocks that change on a disk while the replica runs (DESIGN 5).

use daruma_simulator::{Behaviour, Plan, Rhythm, Rig};
use daruma_store::Column;
use daruma_types::{Height, ReplicaId};

const ALL: [ReplicaId; 4] = [ReplicaId(0), ReplicaId(1), ReplicaId(2), ReplicaId(3)];

/// One that has the damaged disk, and one that comes back from nothing and asks only it.
const DAMAGED: ReplicaId = ReplicaId(1);
const ASKING: ReplicaId = ReplicaId(3);

/// The columns of a record.
const RECORD: [Column; 2] = [Column::Blocks, Column::Certificates];

fn executed(rig: &Rig<'_>, id: ReplicaId) -> u64 {
    rig.status(id).executed.height.0
}

/// Six blocks at all replicas; then `rot` is done, the last replica loses its disk, and it hears the damaged one
/// alone until that has served something or mended what it must.
fn serves_and_mends(before: impl Fn(&mut Rig<'_>), rotten: &[(Column, u64)], row: Option<&[u8]>) {
    Plan::calm(3, 4).in_rounds().drive(Rhythm::LockStep, |rig| {
        for nonce in 1..=6 {
            rig.submit(&ALL, 0, nonce, "append");
            rig.until(40, |rig| ALL.iter().all(|id| executed(rig, *id) == nonce))
                .expect("executed");
        }
        // None that cannot be read, and none above.
        let blocks = |rig: &Rig<'_>| {
            rig.blocks(DAMAGED).into_iter().map(|block| block.block).collect::<Vec<_>>()
        };
        let whole = blocks(rig);
        assert_eq!(whole.len(), 6);
        for (column, height) in rotten {
            rig.rot(DAMAGED, *column, Height(*height), row.map(<[u8]>::to_vec));
        }
        before(rig);
        assert_ne!(blocks(rig), whole);
        for silent in [ReplicaId(0), ReplicaId(2)] {
            rig.cut(silent, ASKING, true);
        }
        rig.wipe(ASKING);
        rig.until(200, |rig| blocks(rig) == whole).expect("what is damaged is had again");
        rig.until(200, |rig| executed(rig, ASKING) == 6).expect("and served");
        assert_eq!(executed(rig, DAMAGED), 6, "the head stays where it is");
        assert_eq!(rig.violations(), []);
    });
}

#[test]
fn a_record_that_rots_is_not_served_and_is_had_again_from_the_others() {
    for column in RECORD {
        for height in [1, 3, 6] {
            for row in [None, Some(&b"rotten"[..])] {
                serves_and_mends(|_| {}, &[(column, height)], row);
            }
        }
    }
}

#[test]
fn records_that_rot_side_by_side_are_had_again_from_the_top_down() {
    let rotten = [(Column::Blocks, 2), (Column::Certificates, 3), (Column::Blocks, 4)];
    serves_and_mends(|_| {}, &rotten, Some(b"rotten"));
}

#[test]
fn a_record_that_rots_is_had_again_though_a_peer_lies_about_its_blocks() {
    let lies = |rig: &mut Rig<'_>| rig.behave(ReplicaId(0), Some(Behaviour::LyingServer));
    serves_and_mends(lies, &[(Column::Blocks, 3)], None);
}

#[test]
fn a_record_that_rots_is_had_again_though_it_rotted_at_another_replica_as_well() {
    let both = |rig: &mut Rig<'_>| {
        rig.rot(ReplicaId(0), Column::Blocks, Height(3), None);
    };
    serves_and_mends(both, &[(Column::Blocks, 3)], Some(b"rotten"));
}
