//! gzip on all processors, as pigz does it: the input is cut into blocks, and each is
//! compressed by itself with the end of the block before as its dictionary. The result is one
//! plain gzip stream. Its bytes depend on the size of the blocks, and not on how many
//! processors there are.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::parallel;

/// The size of a block in bytes: large enough that its beginning and end cost little, and
/// small enough that all blocks in memory take a few MiB.
const BLOCK: usize = 128 * 1024;
/// How far back deflate looks, in bytes. RFC 1951, section 2.
const WINDOW: usize = 32 * 1024;
/// RFC 1952, section 2.3: deflate, no flags, no time, no hint, and an unknown operating
/// system, because the host's would differ between hosts.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// More threads would mostly wait for the one that reads and hashes, and each takes memory.
const THREADS: usize = 4;

/// A block to compress, and where its result goes.
struct Job {
    dictionary: Vec<u8>,
    bytes: Vec<u8>,
    flush: FlushCompress,
    reply: SyncSender<Result<Compressed>>,
}

struct Compressed {
    bytes: Vec<u8>,
    crc: Crc,
}

/// Compresses what `produce` writes into `out`, and returns `out`. `level` is deflate's, 1
/// to 9.
pub fn compress<W: Write + Send>(
    out: W,
    level: u32,
    produce: impl FnOnce(&mut Blocks) -> Result<()>,
) -> Result<W> {
    compress_on(parallel::processors().min(THREADS), out, level, produce)
}

/// The same with this many threads that compress, beside one that reads and one that writes.
fn compress_on<W: Write + Send>(
    threads: usize,
    out: W,
    level: u32,
    produce: impl FnOnce(&mut Blocks) -> Result<()>,
) -> Result<W> {
    // The order's capacity bounds how many blocks are in memory.
    let (jobs, taken) = channel::<Job>();
    let (order, ordered) = sync_channel(threads + 1);
    let taken = Mutex::new(taken);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&taken, level))).collect();
        let writer = scope.spawn(move || write(out, &ordered));
        let mut blocks =
            Blocks { buffer: Vec::with_capacity(BLOCK), window: Vec::new(), jobs, order };
        let produced = produce(&mut blocks).and_then(|()| blocks.finish());
        let written = parallel::join(writer);
        let worked = workers.into_iter().all(|worker| worker.join().is_ok());
        // Where the writer failed, the producer fails too, and the writer's error is the cause.
        let out = match (produced, written) {
            (_, Err(error)) | (Err(error), Ok(_)) => return Err(error),
            (Ok(()), Ok(out)) => out,
        };
        worked.then_some(out).context("a thread that compresses panicked")
    })
}

/// Cuts what is written into blocks.
pub struct Blocks {
    buffer: Vec<u8>,
    /// The end of the block before.
    window: Vec<u8>,
    jobs: Sender<Job>,
    order: SyncSender<Receiver<Result<Compressed>>>,
}

impl Blocks {
    fn send(&mut self, flush: FlushCompress) -> io::Result<()> {
        let next = if flush == FlushCompress::Finish { 0 } else { BLOCK };
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(next));
        let window = bytes[bytes.len().saturating_sub(WINDOW)..].to_vec();
        let dictionary = std::mem::replace(&mut self.window, window);
        let (reply, result) = sync_channel(1);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.order.send(result).map_err(|_| ()).map_err(gone)?;
        self.jobs.send(Job { dictionary, bytes, flush, reply }).map_err(|_| ()).map_err(gone)
    }

    fn finish(mut self) -> Result<()> {
        self.send(FlushCompress::Finish).context("hand over the last block")
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BLOCK {
            self.send(FlushCompress::Sync)?;
        }
        let taken = bytes.len().min(BLOCK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, level: u32) {
    let mut compressor = Compress::new(Compression::new(level), false);
    let mut scratch = Vec::with_capacity(WINDOW);
    loop {
        let job = parallel::locked(jobs).recv();
        let Ok(job) = job else { return };
        let result = reset(&mut compressor, &mut scratch);
        let result = result.and_then(|()| deflate(&mut compressor, &job));
        // After a failure nobody waits for results.
        drop(job.reply.send(result));
    }
}

/// Makes a used compressor equal to a new one, which would take more memory and time.
/// `Compress::reset` is not enough: zlib-rs 0.6 keeps the window's old bytes, hashes some of
/// them with the end of the dictionary, and so finds other matches. Which block a thread
/// compressed before is chance. Zeros overwrite the window, which is twice as long as deflate
/// looks back.
fn reset(compressor: &mut Compress, scratch: &mut Vec<u8>) -> Result<()> {
    static ZEROS: [u8; 2 * WINDOW] = [0; 2 * WINDOW];
    compressor.reset();
    while compressor.total_in() < ZEROS.len() as u64 {
        scratch.clear();
        let taken = usize::try_from(compressor.total_in()).context("prepare to compress")?;
        let rest = &ZEROS[taken..];
        compressor
            .compress_vec(rest, scratch, FlushCompress::Sync)
            .context("prepare to compress")?;
    }
    compressor.reset();
    Ok(())
}

/// Compresses a block to a whole number of bytes, so that the next block can follow.
fn deflate(compressor: &mut Compress, job: &Job) -> Result<Compressed> {
    let mut crc = Crc::new();
    crc.update(&job.bytes);
    if !job.dictionary.is_empty() {
        compressor.set_dictionary(&job.dictionary).context("set the dictionary of a block")?;
    }
    // An incompressible block grows by a few bytes for each 16 KiB of it.
    let mut bytes = Vec::with_capacity(job.bytes.len() + job.bytes.len() / 1024 + 64);
    loop {
        let taken = usize::try_from(compressor.total_in()).context("compress a block")?;
        let status = compressor
            .compress_vec(&job.bytes[taken..], &mut bytes, job.flush)
            .context("compress a block")?;
        let all = compressor.total_in() == job.bytes.len() as u64;
        // Where the buffer has room left, all is flushed.
        let flushed = all && bytes.len() < bytes.capacity();
        if status == Status::StreamEnd || (flushed && job.flush == FlushCompress::Sync) {
            return Ok(Compressed { bytes, crc });
        }
        bytes.reserve(WINDOW);
    }
}

/// Writes the header, the blocks in their order, and the trailer.
fn write<W: Write>(mut out: W, ordered: &Receiver<Receiver<Result<Compressed>>>) -> Result<W> {
    out.write_all(&HEADER).context("write the compressed layer")?;
    let mut crc = Crc::new();
    for block in ordered {
        let block = block.recv().context("a thread that compresses ended early")??;
        crc.combine(&block.crc);
        out.write_all(&block.bytes).context("write the compressed layer")?;
    }
    out.write_all(&crc.sum().to_le_bytes()).context("write the compressed layer")?;
    out.write_all(&crc.amount().to_le_bytes()).context("write the compressed layer")?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sample(size: usize) -> Vec<u8> {
        (0..size as u64).map(|i| (i.wrapping_mul(i >> 5) % 251) as u8).collect()
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut reader = flate2::bufread::GzDecoder::new(bytes);
        reader.read_to_end(&mut plain).unwrap();
        // One member, and nothing after it.
        assert!(reader.into_inner().is_empty());
        plain
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let noise: Vec<u8> = (0..BLOCK as u32 * 3)
            .map(|i| (i.wrapping_mul(2_654_435_761).rotate_left(i % 31) >> 13) as u8)
            .collect();
        let sizes = [0, 1, WINDOW, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 77];
        for bytes in sizes.into_iter().map(sample).chain([noise]) {
            for level in [1, 3, 9] {
                let out = compress(Vec::new(), level, |out| Ok(out.write_all(&bytes)?)).unwrap();
                assert_eq!(gunzip(&out), bytes, "{} at level {level}", bytes.len());
            }
        }
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_they_are_handed_over() {
        let bytes = sample(3 * BLOCK + 5);
        let whole = compress(Vec::new(), 3, |out| Ok(out.write_all(&bytes)?)).unwrap();
        let cut = compress(Vec::new(), 3, |out| {
            Ok(bytes.chunks(777).try_for_each(|part| out.write_all(part))?)
        });
        assert_eq!(cut.unwrap(), whole);
        // The window reaches over the blocks' borders.
        let again = [sample(BLOCK), sample(BLOCK)].concat();
        let one = compress(Vec::new(), 9, |out| Ok(out.write_all(&again[..BLOCK])?)).unwrap();
        let two = compress(Vec::new(), 9, |out| Ok(out.write_all(&again)?)).unwrap();
        assert!(two.len() < 2 * one.len());
    }

    /// However many threads there are. Programs are what shows it.
    #[test]
    fn the_bytes_do_not_depend_on_the_machine() {
        let program = crate::files::read(&std::env::current_exe().unwrap()).unwrap();
        let program = &program[..program.len().min(100 * BLOCK)];
        let with = |threads| {
            compress_on(threads, Vec::new(), 3, |out| Ok(out.write_all(program)?)).unwrap()
        };
        let one = with(1);
        assert!(gunzip(&one) == program);
        for threads in [2, 3, 8] {
            assert!(with(threads) == one, "on {threads} threads");
        }
    }

    /// Whichever thread compresses which block, and whatever it compressed before.
    #[test]
    fn the_bytes_are_the_same_every_time() {
        let bytes: Vec<u8> = (0..3_000_000u64)
            .map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 57)) as u8 & 0x3f)
            .collect();
        let made = || compress(Vec::new(), 3, |out| Ok(out.write_all(&bytes)?)).unwrap();
        let first = made();
        for _ in 0..20 {
            assert!(made() == first);
        }
    }

    #[test]
    fn a_failure_on_either_side_ends_it() {
        let failed = compress(Vec::new(), 1, |_| Err(anyhow::anyhow!("no such file"))).unwrap_err();
        assert_eq!(failed.to_string(), "no such file");
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = sample(40 * BLOCK);
        let failed = compress(Full, 1, |out| Ok(out.write_all(&bytes)?)).map(drop).unwrap_err();
        assert!(format!("{failed:#}").contains("no storage space"), "{failed:#}");
    }
}
