//! The ELF files of each architecture for which rustc has a target with musl or glibc.

use object::elf::{self, Machine, RelocationType};

use crate::target::Target;

/// What a target expects of an ELF file.
pub(super) struct Expected {
    pub machine: Machine,
    /// 64 bits, not 32.
    pub is_64: bool,
    pub big_endian: bool,
    pub stack: Stack,
    /// The relocation of indirect functions; `None` where the architecture has none.
    pub indirect: Option<RelocationType>,
    pub library: CLibrary,
}

/// The C library that a program is for.
pub(super) enum CLibrary {
    /// Linked into the program.
    Musl,
    /// The loader at this path starts the program.
    Glibc { loader: &'static str },
}

/// How Linux maps the stack of a program without PT_GNU_STACK: see `elf_read_implies_exec` and
/// `VM_DATA_DEFAULT_FLAGS` of each architecture.
pub(super) enum Stack {
    /// On mips, newer kernels do so only where the processor requires it.
    Executable,
    /// Until Linux 5.8: commits 9fccc5c0c99f (x86) and 6e0d6ac5f3d9 (arm64).
    ExecutableBefore58,
    Protected,
}

/// The architectures of the table that are big endian.
const BIG_ENDIAN: [&str; 6] = ["aarch64_be", "mips", "mips64", "powerpc", "powerpc64", "s390x"];

impl Expected {
    /// `None` for a target without musl or glibc, and for an architecture that is not in the table.
    pub fn of(target: &Target) -> Option<Expected> {
        use Stack::{Executable, ExecutableBefore58, Protected};
        let library = if target.is_musl() {
            CLibrary::Musl
        } else {
            CLibrary::Glibc { loader: loader(target)? }
        };
        let arch = target.arch();
        let (machine, is_64, stack, indirect) = match arch {
            "x86_64" => (elf::EM_X86_64, true, ExecutableBefore58, Some(elf::R_X86_64_IRELATIVE)),
            "i586" | "i686" => (elf::EM_386, false, Executable, Some(elf::R_386_IRELATIVE)),
            "aarch64" | "aarch64_be" => {
                (elf::EM_AARCH64, true, ExecutableBefore58, Some(elf::R_AARCH64_IRELATIVE))
            }
            "arm" | "armv5te" | "armv6" | "armv7" | "thumbv7neon" => {
                (elf::EM_ARM, false, Executable, Some(elf::R_ARM_IRELATIVE))
            }
            "powerpc" => (elf::EM_PPC, false, Executable, Some(elf::R_PPC_IRELATIVE)),
            "powerpc64" | "powerpc64le" => {
                (elf::EM_PPC64, true, Protected, Some(elf::R_PPC64_IRELATIVE))
            }
            "riscv32gc" => (elf::EM_RISCV, false, Protected, Some(elf::R_RISCV_IRELATIVE)),
            "riscv64gc" => (elf::EM_RISCV, true, Protected, Some(elf::R_RISCV_IRELATIVE)),
            "s390x" => (elf::EM_S390, true, Protected, Some(elf::R_390_IRELATIVE)),
            "loongarch64" => (elf::EM_LOONGARCH, true, Protected, Some(elf::R_LARCH_IRELATIVE)),
            "mips" | "mipsel" => (elf::EM_MIPS, false, Executable, None),
            "mips64" | "mips64el" => (elf::EM_MIPS, true, Executable, None),
            "hexagon" => (elf::EM_HEXAGON, false, Protected, None),
            _ => return None,
        };
        let big_endian = BIG_ENDIAN.contains(&arch);
        Some(Expected { machine, is_64, big_endian, stack, indirect, library })
    }
}

/// The path of glibc's loader: see its sysdeps/**/shlib-versions and each architecture's psABI.
fn loader(target: &Target) -> Option<&'static str> {
    let abi = target.triple().split_once("-linux-").map(|(_, abi)| abi)?;
    Some(match (target.arch(), abi) {
        ("x86_64", "gnu") => "/lib64/ld-linux-x86-64.so.2",
        ("i586" | "i686", "gnu") => "/lib/ld-linux.so.2",
        ("aarch64", "gnu") => "/lib/ld-linux-aarch64.so.1",
        ("aarch64_be", "gnu") => "/lib/ld-linux-aarch64_be.so.1",
        ("arm" | "armv7" | "thumbv7neon", "gnueabihf") => "/lib/ld-linux-armhf.so.3",
        ("arm" | "armv5te" | "armv7", "gnueabi") => "/lib/ld-linux.so.3",
        ("powerpc", "gnu") => "/lib/ld.so.1",
        ("powerpc64", "gnu") => "/lib64/ld64.so.1",
        ("powerpc64le", "gnu") => "/lib64/ld64.so.2",
        ("riscv32gc", "gnu") => "/lib/ld-linux-riscv32-ilp32d.so.1",
        ("riscv64gc", "gnu") => "/lib/ld-linux-riscv64-lp64d.so.1",
        ("s390x", "gnu") => "/lib/ld64.so.1",
        ("loongarch64", "gnu") => "/lib64/ld-linux-loongarch-lp64d.so.1",
        ("mips" | "mipsel", "gnu") => "/lib/ld.so.1",
        ("mips64" | "mips64el", "gnuabi64") => "/lib64/ld.so.1",
        _ => return None,
    })
}

/// An architecture in words, such as `x86_64 (64 bits, little endian)`.
pub(super) fn describe(machine: Machine, is_64: bool, big_endian: bool) -> String {
    let bits = if is_64 { "64 bits" } else { "32 bits" };
    let endian = if big_endian { "big endian" } else { "little endian" };
    let name = match machine {
        elf::EM_X86_64 => "x86_64",
        elf::EM_386 => "x86",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_ARM => "arm",
        elf::EM_PPC => "powerpc",
        elf::EM_PPC64 => "powerpc64",
        elf::EM_RISCV => "riscv",
        elf::EM_S390 => "s390",
        elf::EM_LOONGARCH => "loongarch",
        elf::EM_MIPS => "mips",
        elf::EM_HEXAGON => "hexagon",
        elf::EM_BPF => "bpf",
        other => return format!("machine {other} ({bits}, {endian})"),
    };
    format!("{name} ({bits}, {endian})")
}
