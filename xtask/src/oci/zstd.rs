//! Unpacks zstd. A layer may have many frames, and some are to be skipped.
//! <https://www.rfc-editor.org/rfc/rfc8878#section-3.1>

use std::io::{self, BufRead, Error, ErrorKind, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::limits;

/// A reader of all frames of a stream. Their checksums are not compared, because a layer's
/// diff ID is.
pub struct Decoder<R> {
    source: R,
    frame: FrameDecoder,
    /// Whether the reader is within a frame.
    within: bool,
    /// Whether any frame was read.
    begun: bool,
}

impl<R: BufRead> Decoder<R> {
    pub fn new(source: R) -> Decoder<R> {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(limits::WINDOW);
        Decoder { source, frame, within: false, begun: false }
    }

    /// Goes on to the next frame; `false` at the end of the stream.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                if self.begun {
                    return Ok(false);
                }
                return Err(Error::new(ErrorKind::UnexpectedEof, "there is no zstd in it"));
            }
            let length = match self.frame.reset(&mut self.source) {
                Ok(()) => {
                    (self.within, self.begun) = (true, true);
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => u64::from(length),
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error)),
            };
            let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
            if skipped != length {
                let why = "it ends within a frame that is to be skipped";
                return Err(Error::new(ErrorKind::UnexpectedEof, why));
            }
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.within || self.next()? {
            if self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.frame.decode_blocks(&mut self.source, one);
                decoded.map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
            }
            let given = self.frame.read(buffer)?;
            if given > 0 {
                return Ok(given);
            }
            self.within = !self.frame.is_finished();
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    fn frame(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    /// Kept by zstd's own programs beside what they packed, and by those of containers for
    /// tables of contents.
    fn skippable(bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [&0x184d_2a5e_u32.to_le_bytes()[..], &length, bytes].concat()
    }

    #[test]
    fn all_frames_come_out() {
        let large: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (packed, plain) in [
            (frame(b"abc"), b"abc".to_vec()),
            (frame(b""), Vec::new()),
            (frame(&large), large.clone()),
            ([frame(b"a"), frame(b""), frame(b"bc")].concat(), b"abc".to_vec()),
            ([skippable(b"x"), frame(b"a"), skippable(b""), frame(b"b")].concat(), b"ab".to_vec()),
            ([frame(b"a"), skippable(&large)].concat(), b"a".to_vec()),
        ] {
            assert!(unpacked(&packed).unwrap() == plain, "{} bytes", packed.len());
        }
    }

    /// Whatever stands in a frame, it is unpacked or refused, block by block.
    #[test]
    fn any_bytes_are_unpacked_or_refused() {
        let text: Vec<u8> = (0..5_000u32).flat_map(|n| (n % 97 * n).to_le_bytes()).collect();
        let whole = [frame(&text), skippable(b"x"), frame(b"more")].concat();
        let property = |u: &mut arbtest::arbitrary::Unstructured<'_>| {
            let mut bytes = whole.clone();
            for _ in 0..u.int_in_range(1..=8)? {
                let at = u.choose_index(bytes.len())?;
                bytes[at] = u.arbitrary()?;
            }
            crate::fuzzing::zstd(&bytes);
            Ok(())
        };
        arbtest::arbtest(property).budget(std::time::Duration::from_secs(1));
    }

    #[test]
    fn what_is_cut_off_or_no_zstd_is_an_error() {
        let whole = [frame(b"some text, some text"), skippable(b"more")].concat();
        let first = frame(b"some text, some text").len();
        for end in (0..whole.len()).filter(|end| *end != first) {
            unpacked(&whole[..end]).unwrap_err();
        }
        for bytes in [&b"no zstd"[..], &skippable(b"x"), &[0; 64], &[0x28, 0xb5, 0x2f, 0xfd]] {
            unpacked(bytes).unwrap_err();
        }
        // A window of two terabytes, which nobody has.
        let error = unpacked(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0]).unwrap_err();
        assert!(error.to_string().to_lowercase().contains("window"), "{error}");
    }
}
