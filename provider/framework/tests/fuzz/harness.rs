//! Runs a target on random inputs: a bounded number of them from a fixed seed in
//! CI, and as long as `make fuzz` says from a new one. What fails is made small
//! and kept in `failures/`, which every later run begins with.

use std::any::Any;
use std::fs;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::random::{Random, number, seed_of};

/// The seed where the environment names none.
const SEED: u64 = 0xfa1a_1000;
/// A single input that takes this long will not end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that reads what comes over the wire.
pub struct Target {
    pub name: &'static str,
    /// An input: a good one with something broken, or noise.
    pub make: fn(&mut Random) -> Vec<u8>,
    /// Reads it.
    pub read: fn(&[u8]) -> Result<Reading, String>,
    /// How much memory an input may take: so much for each of its bytes...
    pub bytes_per_byte: usize,
    /// ...and so much in any case.
    pub bytes_at_least: usize,
}

/// How an input was read. That it is refused is no failure.
pub struct Reading {
    pub accepted: bool,
    /// The most memory that it took.
    pub peak: usize,
}

impl Target {
    /// What is wrong with how the input is read, if anything.
    pub fn problem(&self, input: &[u8]) -> Result<bool, String> {
        let reading = catch_unwind(AssertUnwindSafe(|| (self.read)(input)))
            .unwrap_or_else(|panic| Err(format!("it panicked: {}", text_of(panic.as_ref()))))?;
        let most = self.bytes_at_least + self.bytes_per_byte * input.len();
        if reading.peak > most {
            let (peak, length) = (reading.peak, input.len());
            return Err(format!("it took {peak} bytes of memory for an input of {length}; {most} are allowed"));
        }
        Ok(reading.accepted)
    }

    /// Every input that ever failed, then `cases` random ones; the time that the
    /// environment gives instead, if it does.
    pub fn run(&self, cases: u64) {
        self.replay();
        if let Some(case) = number("TFPLUGIN_FUZZ_CASE") {
            println!("{}: accepted: {}", self.name, self.case(case, 0, case));
            return;
        }
        let time = number("TFPLUGIN_FUZZ_SECONDS").map(Duration::from_secs);
        let seed = number("TFPLUGIN_FUZZ_SEED").unwrap_or(SEED);
        let begun = Instant::now();
        let watch = Watch::over(self.name);
        let (mut done, mut accepted) = (0, 0);
        while time.map_or(done < cases, |time| begun.elapsed() < time) {
            let case = seed_of(seed, done);
            watch.now_at(case);
            accepted += u64::from(self.case(seed, done, case));
            done += 1;
        }
        println!("{}: {done} cases of seed {seed:#x}, {accepted} of them accepted", self.name);
        assert!(accepted > done / 50, "{}: hardly any input is accepted, so hardly anything is tried", self.name);
    }

    fn case(&self, seed: u64, position: u64, case: u64) -> bool {
        let input = (self.make)(&mut Random::new(case));
        self.problem(&input).unwrap_or_else(|problem| {
            let kept = self.keep(self.smaller(input));
            panic!(
                "{}: {problem}\n  case {position} of TFPLUGIN_FUZZ_SEED={seed:#x}, by itself TFPLUGIN_FUZZ_CASE={case:#x}\n  kept as {}",
                self.name,
                kept.display()
            )
        })
    }

    /// Removes from a failing input what it can do without.
    fn smaller(&self, mut input: Vec<u8>) -> Vec<u8> {
        let mut size = input.len() / 2;
        while size > 0 {
            let mut position = 0;
            while position + size <= input.len() {
                let mut less = input.clone();
                less.drain(position..position + size);
                if self.problem(&less).is_err() { input = less } else { position += size }
            }
            size /= 2;
        }
        input
    }

    fn keep(&self, input: Vec<u8>) -> PathBuf {
        let digest = input.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3) // FNV-1a
        });
        let file = failures().join(format!("{}-{digest:016x}", self.name));
        fs::write(&file, input).expect("the failing input is kept");
        file
    }

    fn replay(&self) {
        for entry in fs::read_dir(failures()).expect("the directory of failures").filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.rsplit_once('-').is_some_and(|(target, _)| target == self.name) {
                let input = fs::read(entry.path()).expect("an input");
                if let Err(problem) = self.problem(&input) {
                    panic!("{} fails again: {problem}", entry.path().display());
                }
            }
        }
    }
}

fn failures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/failures")
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Knows which case runs: a case that does not end, or that ends the process (an
/// overflow of the stack cannot be caught), can be told afterwards.
struct Watch {
    file: fs::File,
    current: Arc<AtomicU64>,
}

impl Watch {
    fn over(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        println!("{name}: if this process dies, {} has the case", path.display());
        let file = fs::File::create(path).expect("a file for the case");
        let current = Arc::new(AtomicU64::new(0));
        let watched = Arc::downgrade(&current);
        std::thread::spawn(move || {
            let mut last = 0;
            let mut since = Instant::now();
            while let Some(now) = watched.upgrade().map(|current| current.load(Ordering::Relaxed)) {
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if now != 0 && since.elapsed() > PATIENCE {
                    eprintln!("{name}: TFPLUGIN_FUZZ_CASE={now:#x} does not end");
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { file, current }
    }

    fn now_at(&self, case: u64) {
        self.current.store(case, Ordering::Relaxed);
        let line = format!("TFPLUGIN_FUZZ_CASE={case:#018x}\n");
        self.file.write_all_at(line.as_bytes(), 0).expect("the case is written down");
    }
}
