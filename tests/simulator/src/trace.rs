//! What happened in a run: a fingerprint always, lines for people when asked.

/// Takes the lines of a trace.
pub type Sink<'a> = &'a mut dyn FnMut(&str);

/// Fingerprint and lines of a run.
pub(crate) struct Trace<'a> {
    hash: u64,
    sink: Option<Sink<'a>>,
}

impl<'a> Trace<'a> {
    pub(crate) fn new(sink: Option<Sink<'a>>) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, sink }
    }

    /// Mixes an event into the fingerprint.
    pub(crate) fn mix(&mut self, words: &[u64]) {
        for word in words {
            // FNV-1a over words, with a rotation so that high bits come down again.
            self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Writes a line, which is made only when someone reads it.
    pub(crate) fn line(&mut self, at_us: u64, text: impl FnOnce() -> String) {
        if let Some(sink) = &mut self.sink {
            sink(&format!("{:>9}.{:03} ms  {}", at_us / 1000, at_us % 1000, text()));
        }
    }
}
