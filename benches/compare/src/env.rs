//! What the numbers were measured on. No host or user names: reports are made to be shared.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory: String,
    pub target: String,
    /// What decides how atomics are compiled: whether the processor has it, and whether this program was built for it.
    pub features: String,
    pub os: String,
    pub kernel: String,
    pub rustc: String,
    pub commit: String,
    pub allocator: String,
    /// How `Epoch` orders its readers: membarrier or fences.
    pub barrier: String,
    pub date: String,
}

impl Machine {
    pub fn here() -> Self {
        Machine {
            cpu: cpu(),
            cores: cores(),
            memory: memory().map_or_else(unknown, |bytes| format!("{:.1} GiB", bytes / (1 << 30) as f64)),
            target: env!("COMPARE_TARGET").into(),
            features: features(),
            os: std::env::consts::OS.into(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|release| release.trim().into())
                .or_else(|| sysctl("kern.osrelease"))
                .unwrap_or_else(unknown),
            rustc: env!("COMPARE_RUSTC").into(),
            commit: env!("COMPARE_COMMIT").into(),
            allocator: crate::alloc::NAME.into(),
            barrier: format!("{:?}", latchfree::reclaim::barrier()),
            date: date(seconds()),
        }
    }

    /// Names and values, for the heads of reports.
    pub fn lines(&self) -> [(&'static str, String); 11] {
        [
            ("CPU", self.cpu.clone()),
            ("cores", self.cores.to_string()),
            ("memory", self.memory.clone()),
            ("target", self.target.clone()),
            ("features", self.features.clone()),
            ("kernel", format!("{} {}", self.os, self.kernel)),
            ("rustc", self.rustc.clone()),
            ("commit", self.commit.clone()),
            ("allocator", self.allocator.clone()),
            ("barrier", self.barrier.clone()),
            ("date", self.date.clone()),
        ]
    }
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// x86 names its processors; ARM has numbers, and boards have names.
fn cpu() -> String {
    let info = |name| field("/proc/cpuinfo", name);
    let numbers = || Some(format!("implementer {}, part {}", info("CPU implementer")?, info("CPU part")?));
    let part = info("model name").or_else(|| sysctl("machdep.cpu.brand_string")).or_else(numbers);
    let board = fs::read_to_string("/proc/device-tree/model").ok();
    let names: Vec<String> =
        [part, board].into_iter().flatten().map(|name| name.trim_matches(['\0', '\n']).to_owned()).collect();
    if names.is_empty() { std::env::consts::ARCH.into() } else { names.join(", ") }
}

/// In bytes.
fn memory() -> Option<f64> {
    let linux = || {
        field("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
    };
    linux().or_else(|| sysctl("hw.memsize")?.parse().ok())
}

fn features() -> String {
    #[cfg(target_arch = "aarch64")]
    {
        use std::arch::is_aarch64_feature_detected as has;
        // Single-instruction atomics, wider ones, and acquiring loads that may pass releasing stores. The names are
        // rustc's.
        [
            ("lse", has!("lse"), cfg!(target_feature = "lse")),
            ("lse2", has!("lse2"), cfg!(target_feature = "lse2")),
            ("rcpc", has!("rcpc"), cfg!(target_feature = "rcpc")),
            ("rcpc2", has!("rcpc2"), cfg!(target_feature = "rcpc2")),
        ]
        .map(|(name, has, used)| {
            let built = if used { "built for it" } else { "not built for it" };
            format!("{name}: {}, {built}", if has { "yes" } else { "no" })
        })
        .join("; ")
    }
    #[cfg(not(target_arch = "aarch64"))]
    "this processor has one kind of atomics".into()
}

fn unknown() -> String {
    "unknown".into()
}

/// The first `name : value` of a file of the proc file system.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, value) = text.lines().find(|line| line.starts_with(name))?.split_once(':')?;
    Some(value.trim().to_owned())
}

/// What macOS has in place of the proc file system.
fn sysctl(name: &str) -> Option<String> {
    if !cfg!(target_os = "macos") {
        return None;
    }
    let output = Command::new("sysctl").args(["-n", name]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// UTC as `2001-02-03 04:05 UTC`; the civil calendar from days since 1970, after Howard Hinnant.
fn date(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", time / 3600, time / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(date(1_709_251_199), "2024-02-29 23:59 UTC");
    }
}
