//! Reads the archives that vectors come in: base64 in the text of an RFC, gzip, tar and zip. For tests:
//! archives that are none panic.

/// The files of a gzipped tar archive that stands as base64 in an RFC between the lines
/// `-- BEGIN MESSAGE ARCHIVE --` and `-- END MESSAGE ARCHIVE --`.
pub(crate) fn of_rfc(text: &str) -> Vec<(String, Vec<u8>)> {
    let (_, from) = text.rsplit_once("-- BEGIN MESSAGE ARCHIVE --").unwrap();
    let (archive, _) = from.split_once("-- END MESSAGE ARCHIVE --").unwrap();
    // Feet and heads of pages have blanks in their lines.
    let lines = archive.lines().map(str::trim);
    let lines: String = lines.filter(|line| !line.contains(' ')).collect();
    tar(&gunzip(&base64(&lines)))
}

/// The files of a zip archive, in the order of its directory.
pub(crate) fn zip(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    // The end record is 22 bytes, then a comment.
    let end = (0..=archive.len() - 22)
        .rev()
        .find(|&at| archive[at..].starts_with(b"PK\x05\x06"))
        .expect("the end of a zip archive");
    let mut at = number(archive, end + 16, 4);
    let mut files = Vec::new();
    for _ in 0..number(archive, end + 10, 2) {
        assert!(archive[at..].starts_with(b"PK\x01\x02"));
        let field = |offset, len| number(archive, at + offset, len);
        let (method, crc, packed, size) = (field(10, 2), field(16, 4), field(20, 4), field(24, 4));
        let (name, extra, comment, local) =
            (field(28, 2), field(30, 2), field(32, 2), field(42, 4));
        let text = String::from_utf8_lossy(&archive[at + 46..at + 46 + name]).into_owned();
        let start = local + 30 + number(archive, local + 26, 2) + number(archive, local + 28, 2);
        let packed = &archive[start..start + packed];
        let file = match method {
            0 => packed.to_vec(),
            8 => inflate(packed),
            other => panic!("{text}: method {other}"),
        };
        assert_eq!((file.len(), crc32(&file) as usize), (size, crc), "{text}");
        files.push((text, file));
        at += 46 + name + extra + comment;
    }
    files
}

fn tar(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut at = 0;
    while at + 512 <= archive.len() && archive[at] != 0 {
        let field = |offset: usize, len: usize| {
            let field = &archive[at + offset..at + offset + len];
            let end = field.iter().position(|&b| b == 0).unwrap_or(len);
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = usize::from_str_radix(&field(124, 12), 8).unwrap();
        let content = archive[at + 512..at + 512 + size].to_vec();
        if matches!(archive[at + 156], b'0' | 0) {
            let name = field(0, 100);
            let name = name.rsplit('/').next().unwrap_or_default();
            files.push((name.to_owned(), content));
        }
        at += 512 + size.next_multiple_of(512);
    }
    files
}

fn gunzip(archive: &[u8]) -> Vec<u8> {
    assert!(archive.starts_with(&[0x1f, 0x8b, 8]));
    let flags = archive[3];
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + number(archive, at, 2);
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += 1 + archive[at..].iter().position(|&b| b == 0).unwrap();
        }
    }
    let end = archive.len() - 8;
    let content = inflate(&archive[at..end]);
    assert_eq!(crc32(&content) as usize, number(archive, end, 4));
    content
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} in base64"),
    };
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        bits = bits << 6 | u32::from(value(byte));
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// RFC 1951.
fn inflate(packed: &[u8]) -> Vec<u8> {
    let mut bits = Bits { packed, at: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.take(1);
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let len = bits.take(16);
                bits.take(16);
                out.extend((0..len).map(|_| bits.take(8) as u8));
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                block(
                    &mut bits,
                    &mut out,
                    &Code::new(&lengths),
                    &Code::new(&[5; 30]),
                );
            }
            2 => {
                let (literals, distances) = (bits.take(5) + 257, bits.take(5) + 1);
                let mut lengths = [0; 19];
                for at in 0..bits.take(4) + 4 {
                    lengths[ORDER[at]] = bits.take(3) as u8;
                }
                let code = Code::new(&lengths);
                let mut lengths = Vec::new();
                while lengths.len() < literals + distances {
                    let (value, count) = match code.read(&mut bits) {
                        16 => (*lengths.last().unwrap(), bits.take(2) + 3),
                        17 => (0, bits.take(3) + 3),
                        18 => (0, bits.take(7) + 11),
                        length => (length as u8, 1),
                    };
                    lengths.extend(std::iter::repeat_n(value, count));
                }
                let (literals, distances) = lengths.split_at(literals);
                block(
                    &mut bits,
                    &mut out,
                    &Code::new(literals),
                    &Code::new(distances),
                );
            }
            _ => panic!("no such block"),
        }
        if last == 1 {
            return out;
        }
    }
}

fn block(bits: &mut Bits<'_>, out: &mut Vec<u8>, literals: &Code, distances: &Code) {
    loop {
        match literals.read(bits) {
            literal @ 0..256 => out.push(literal as u8),
            256 => return,
            length => {
                let (base, extra) = LENGTHS[length - 257];
                let length = base + bits.take(extra);
                let (base, extra) = DISTANCES[distances.read(bits)];
                let distance = base + bits.take(extra);
                for _ in 0..length {
                    out.push(out[out.len() - distance]);
                }
            }
        }
    }
}

struct Bits<'a> {
    packed: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> usize {
        let mut value = 0;
        for n in 0..count {
            value |= (usize::from(self.packed[self.at / 8]) >> (self.at % 8) & 1) << n;
            self.at += 1;
        }
        value
    }
}

/// A canonical Huffman code: how many words of each length, and the symbols in their order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|&n| lengths[n] > 0).collect();
        symbols.sort_by_key(|&n| lengths[n]);
        Self { counts, symbols }
    }

    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut word, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            word |= bits.take(1);
            if word < first + count {
                return self.symbols[index + word - first];
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        panic!("no such word");
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    let bytes = bytes[at..at + len].iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | usize::from(byte))
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let table: [u32; 256] =
        std::array::from_fn(|byte| (0..8).fold(byte as u32, |crc, _| step(crc)));
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        crc >> 8 ^ table[usize::from(crc as u8 ^ byte)]
    })
}

const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// Base and extra bits.
const LENGTHS: [(usize, usize); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
const DISTANCES: [(usize, usize); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
