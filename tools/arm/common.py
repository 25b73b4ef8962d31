"""What `count` and `scale` share: building the operations, and running one under qemu with the plugin."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KIT = pathlib.Path(os.environ.get("LATCHFREE_ARM", pathlib.Path.home() / ".cache/latchfree-arm"))
RESULTS = ROOT / "benches/results"


@dataclass(frozen=True)
class Build:
    name: str
    flags: str
    cpu: str


BASELINE = Build("baseline", "", "cortex-a72")
LSE = Build("+lse", "-Ctarget-feature=+lse", "neoverse-n1")
N1 = Build("neoverse-n1", "-Ctarget-cpu=neoverse-n1", "neoverse-n1")


@dataclass(frozen=True)
class Operation:
    structure: str
    operation: str
    row: str

    @property
    def ours(self):
        return self.row.startswith("latchfree")


def fail(*words):
    print(*words, file=sys.stderr)
    sys.exit(1)


def set_up():
    if subprocess.run([HERE / "setup"]).returncode:
        fail("tools/arm/setup failed")


def build(which, peers=True):
    """The program for a build, under a name of its own: cargo gives all builds the same."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "arm"
    command = [KIT / "bin/cargo-arm", "build", "--quiet", "--release", "--package", "arm-ops"]
    # One unit, so that what is inlined does not depend on how the crate is divided.
    command += ["--config", "profile.release.codegen-units=1", "--config", "profile.release.debug=false"] + ([] if peers else ["--no-default-features"])
    if subprocess.run(command, cwd=ROOT, env=os.environ | {"RUSTFLAGS": which.flags}).returncode:
        fail("building failed")
    built = ROOT / target / "aarch64-unknown-linux-gnu/release/arm-ops"
    program = built.with_name(f"arm-ops {which.name}{'' if peers else ' ours'}")
    shutil.copy2(built, program)
    return program


def compiler():
    own = KIT / "bin/rustc"
    return subprocess.run([own if own.exists() else "rustc", "--version"], capture_output=True, text=True).stdout.strip()


def run_arm(program, cpu, words, plugin=None, host_cpu=None):
    command = [KIT / "bin/run-arm", "-cpu", cpu] + (["-plugin", f"{KIT}/lib/plugin.so,{plugin}"] if plugin else [])
    command += [program, *words]
    if host_cpu is not None:
        command = ["taskset", "-c", str(host_cpu)] + command
    return subprocess.run(command, capture_output=True, text=True)


def operations(program, which):
    listed = run_arm(program, which.cpu, [])
    if listed.returncode:
        fail("the operations do not run:", listed.stderr)
    found = [Operation(*line.split("\t")) for line in listed.stdout.splitlines()]
    groups = {(o.structure, o.operation): None for o in found}
    structures = {o.structure: None for o in found}
    order = [g for s in structures for g in groups if g[0] == s]
    # Grouped by operation, in the order of the list: ours before peers.
    return [o for g in order for o in found if (o.structure, o.operation) == g]


def measure(program, which, op, times, team=0, seed=0, host_cpu=None):
    """What the plugin counted, by name."""
    with tempfile.NamedTemporaryFile("r") as out:
        arguments = f"out={out.name}" + (f",team={team},seed={seed}" if team else "")
        words = [op.structure, op.operation, op.row, str(times)] + ([str(team)] if team else [])
        ran = run_arm(program, which.cpu, words, arguments, host_cpu)
        counts = {name: int(value) for name, value in (line.split() for line in out)}
    if ran.returncode or not counts.get("operations"):
        fail(f"{op} on {which.name}: exit code {ran.returncode}\n{ran.stderr}")
    return counts
