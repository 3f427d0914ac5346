//! Frames on a stream that arrives in pieces of any length.

use arbitrary::{Arbitrary, Unstructured};
use daruma_network::laboratory::{Ended, read_frames};

/// Bytes of the largest frame that the target's reader takes: some read buffers.
const ALLOWED: usize = 300_000;

/// Bytes of one stream.
const STREAM_MAX: usize = 1_000_000;

/// A frame's length, mostly small or near the reader's buffer.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Length {
    Small(u8),
    NearBuffer(i8),
    NearAllowed(i8),
    Any(u32),
}

impl Length {
    fn bytes(self) -> usize {
        let near = |centre: usize, by: i8| centre.saturating_add_signed(isize::from(by));
        match self {
            Self::Small(length) => usize::from(length),
            Self::NearBuffer(by) => near(65_536, by),
            Self::NearAllowed(by) => near(ALLOWED, by),
            Self::Any(length) => length as usize,
        }
    }
}

/// Whatever the pieces are, the same frames come out; and those that went in, if they are allowed.
pub(super) fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let (Ok(built), Ok(pieces)) = (bool::arbitrary(&mut u), <[u16; 3]>::arbitrary(&mut u)) else {
        return;
    };
    let pieces = pieces.map(usize::from);
    if built {
        let Ok(lengths) = Vec::<Length>::arbitrary(&mut u) else { return };
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        let mut ended = Ended::Closed;
        for (length, fill) in lengths.iter().map(|length| length.bytes()).zip(1_u8..=8) {
            let Ok(header) = u32::try_from(length) else { break };
            stream.extend_from_slice(&header.to_le_bytes());
            if length > ALLOWED {
                ended = Ended::Oversized { found: length };
                break;
            }
            if stream.len() + length > STREAM_MAX {
                break;
            }
            stream.resize(stream.len() + length, fill);
            if length > 0 {
                expected.push(vec![fill; length]);
            }
        }
        let found = read(&stream, &pieces);
        assert_eq!(found, (expected, ended));
        return;
    }
    let stream = u.take_rest();
    let whole = read(stream, &[]);
    assert_eq!(read(stream, &pieces), whole);
    for split in 1..stream.len().min(24) {
        assert_eq!(read(stream, &[split, usize::MAX]), whole, "split at {split}");
    }
    assert_eq!(read(stream, &[1]), whole);
    let length: usize = whole.0.iter().map(Vec::len).sum();
    assert!(length <= stream.len(), "more came out than went in");
}

fn read(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, Ended) {
    match read_frames(stream, pieces, ALLOWED) {
        Ok((frames, ended)) => (frames.iter().map(|frame| frame.to_vec()).collect(), ended),
        Err(error) => panic!("no runtime: {error}"),
    }
}
