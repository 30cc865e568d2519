//! Bounded queues of samples between the mixer and a device's callback.
//!
//! Between the two there is nothing but a lock-free ring; neither side ever waits for the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

/// Makes a ring for so many samples.
pub(crate) fn ring(capacity: usize) -> (Writer, Reader) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let writer = Writer {
        producer,
        dropped: Arc::default(),
    };
    let reader = Reader {
        consumer,
        missing: Arc::default(),
    };
    (writer, reader)
}

/// Fills a ring; what does not fit is dropped: the *newest* samples.
#[derive(Debug)]
pub(crate) struct Writer {
    producer: Producer<i16>,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Writes as much as fits and counts the rest.
    pub(crate) fn write(&mut self, samples: &[i16]) {
        let written = self.write_some(samples);
        let dropped = (samples.len() - written) as u64;
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// Shares the count of dropped samples.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    fn write_some(&mut self, samples: &[i16]) -> usize {
        let count = self.producer.slots().min(samples.len());
        for &sample in &samples[..count] {
            if self.producer.push(sample).is_err() {
                break;
            }
        }
        count
    }
}

/// Fills a ring; what does not fit waits, and when that is too much, the *oldest* is dropped.
///
/// Only the ring's own capacity is out of reach, so it should be short.
#[derive(Debug)]
pub(crate) struct WaitingWriter {
    writer: Writer,
    waiting: VecDeque<i16>,
    limit: usize,
}

impl WaitingWriter {
    /// Lets so many samples wait.
    pub(crate) fn new(writer: Writer, limit: usize) -> Self {
        Self {
            writer,
            waiting: VecDeque::with_capacity(limit),
            limit,
        }
    }

    /// Takes all samples and counts those that must be dropped for them.
    pub(crate) fn write(&mut self, samples: &[i16]) {
        self.flush();
        let mut rest = samples;
        if self.waiting.is_empty() {
            rest = &samples[self.writer.write_some(samples)..];
        }
        let excess = (self.waiting.len() + rest.len()).saturating_sub(self.limit);
        let old = excess.min(self.waiting.len());
        self.waiting.drain(..old);
        self.waiting.extend(&rest[excess - old..]);
        self.writer
            .dropped
            .fetch_add(excess as u64, Ordering::Relaxed);
    }

    /// Counts what was dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.writer.dropped.load(Ordering::Relaxed)
    }

    fn flush(&mut self) {
        let written = self.writer.write_some(self.waiting.make_contiguous());
        self.waiting.drain(..written);
    }
}

/// Empties a ring.
#[derive(Debug)]
pub(crate) struct Reader {
    consumer: Consumer<i16>,
    missing: Arc<AtomicU64>,
}

impl Reader {
    /// Reads what is there; the rest is silence, and counted.
    pub(crate) fn read(&mut self, samples: &mut [i16]) {
        let count = self.consumer.slots().min(samples.len());
        let (ready, missing) = samples.split_at_mut(count);
        for sample in ready {
            *sample = self.consumer.pop().unwrap_or(0);
        }
        missing.fill(0);
        self.missing
            .fetch_add(missing.len() as u64, Ordering::Relaxed);
    }

    /// Shares the count of samples that were not there.
    pub(crate) fn missing(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_the_newest() {
        let (mut writer, mut reader) = ring(4);
        writer.write(&[1, 2, 3]);
        writer.write(&[4, 5, 6]);
        let mut samples = [9; 6];
        reader.read(&mut samples);
        assert_eq!(samples, [1, 2, 3, 4, 0, 0]);
        assert_eq!(writer.dropped().load(Ordering::Relaxed), 2);
        assert_eq!(reader.missing().load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_waits_drops_the_oldest() {
        let (writer, mut reader) = ring(2);
        let mut writer = WaitingWriter::new(writer, 3);
        writer.write(&[1, 2, 3]);
        writer.write(&[4, 5, 6, 7]);
        // 1 and 2 were in the ring already.
        let mut samples = [0; 2];
        reader.read(&mut samples);
        assert_eq!(samples, [1, 2]);
        assert_eq!(writer.dropped(), 2);
        writer.write(&[8]);
        reader.read(&mut samples);
        assert_eq!(samples, [5, 6]);
        writer.write(&[]);
        reader.read(&mut samples);
        assert_eq!(samples, [7, 8]);
        // More than can ever wait.
        writer.write(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(writer.dropped(), 4);
        reader.read(&mut samples);
        writer.write(&[]);
        reader.read(&mut samples);
        assert_eq!(samples, [5, 6]);
    }
}
