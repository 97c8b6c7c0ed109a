//! Building firmware, and reading what was built.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use object::{Object, ObjectSection, SectionFlags, elf};

use super::{Machine, TARGET};
use crate::tools::{self, CrossCompiler, root};

/// What to build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build {
    /// The package in the firmware's workspace.
    pub(crate) package: &'static str,
    /// The program in it.
    pub(crate) program: &'static str,
    pub(crate) machine: Machine,
    /// Lose frames.
    pub(crate) lossy: bool,
    /// Start the clock shortly before 32 bits of milliseconds are over.
    pub(crate) late: bool,
}

impl Build {
    /// A program of the firmware itself.
    pub(crate) fn new(program: &'static str, machine: Machine) -> Self {
        Self { package: "httpling-board", program, machine, lossy: false, late: false }
    }

    /// The same with a card that loses frames.
    pub(crate) fn lossy(self) -> Self {
        Self { lossy: true, ..self }
    }

    /// The same with a clock that is about to be seven weeks old.
    pub(crate) fn late(self) -> Self {
        Self { late: true, ..self }
    }
}

/// What was built.
#[derive(Debug)]
pub(crate) struct Firmware {
    pub(crate) machine: Machine,
    pub(crate) elf: PathBuf,
}

impl Firmware {
    pub(crate) fn build(compiler: &CrossCompiler, build: Build) -> Result<Self> {
        let is_large = build.machine == Machine::Mps2An385;
        let chosen = [(is_large, "mps2-an385"), (build.lossy, "lossy"), (build.late, "late")];
        let chosen: Vec<_> =
            chosen.iter().filter(|(is_chosen, _)| *is_chosen).map(|(_, name)| *name).collect();
        let features: Vec<_> = chosen.iter().map(|name| format!("httpling-board/{name}")).collect();
        // One folder for each set of features: a build would replace the other's program.
        let folder = compiler.target_folder().join(format!("with-{}", chosen.join("-")));
        let mut command = compiler.cargo("build", &root().join("embedded-example"));
        command
            .args(["--quiet", "--release", "--package", build.package, "--bin", build.program])
            .args(["--features", &features.join(",")])
            .arg("--target-dir")
            .arg(&folder);
        tools::run(&mut command)?;
        Ok(Self { machine: build.machine, elf: folder.join(TARGET).join("release").join(build.program) })
    }

    /// The bytes of its sections.
    pub(crate) fn sections(&self) -> Result<Sections> {
        let bytes = fs::read(&self.elf).with_context(|| format!("cannot read {}", self.elf.display()))?;
        let file = object::File::parse(&*bytes)?;
        let mut sections = Sections::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if !sh_flags.contains(elf::SHF_ALLOC) {
                continue;
            }
            let size = section.size();
            match section.name()? {
                ".vector_table" => sections.vectors += size,
                ".rodata" => sections.rodata += size,
                ".data" => sections.data += size,
                ".bss" | ".uninit" => sections.bss += size,
                _ => sections.text += size,
            }
        }
        Ok(sections)
    }
}

/// How many bytes of what an image has.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sections {
    pub(crate) vectors: u64,
    pub(crate) text: u64,
    pub(crate) rodata: u64,
    pub(crate) data: u64,
    pub(crate) bss: u64,
}

impl Sections {
    /// Initial values of variables are kept in flash.
    pub(crate) fn flash(self) -> u64 {
        self.vectors + self.text + self.rodata + self.data
    }

    pub(crate) fn ram(self) -> u64 {
        self.data + self.bss
    }
}
