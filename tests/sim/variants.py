"""Variants of the core: some of its files compiled in another way, the programs that link it linked anew. What is not touched comes
from build/release, which must be there."""

import json
import os
import shlex
import shutil
import subprocess

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
RELEASE = os.path.join(TOP, "build", "release")
ARCHIVE = os.path.join("lib", "libtruc_core.a")


class Broken(Exception):
    """The variant does not compile or link."""


class Variants:
    def __init__(self, name, programs):
        """programs: that are linked for each variant."""
        self.directory = os.path.join(TOP, "build", name)
        self.archive = os.path.join(self.directory, "libtruc_core.a")
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(RELEASE, "compile_commands.json"), encoding="utf-8") as file:
            commands = json.load(file)
        self.compile = {os.path.relpath(one["file"], TOP): shlex.split(one["command"]) for one in commands
                        if "truc_core.dir" in one["command"]}
        self.link = {program: self._link_command(program) for program in programs}

    @staticmethod
    def _link_command(program):
        command = ["ninja", "-C", RELEASE, "-t", "commands", program]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        line = said.strip().splitlines()[-1]
        # ": && cc ... -o bin/program ... && :"
        words = [word for word in shlex.split(line) if word not in (":", "&&")]
        return words

    def core_files(self):
        return sorted(self.compile)

    def build(self, files, more=(), optimize="-O1"):
        """files: {path of a core file: the source to compile instead}. Leaves the programs in `directory`."""
        self.build_archive(files, more, optimize)
        for program in self.link:
            self.link_program(program)

    def build_archive(self, files, more=(), optimize="-O1"):
        shutil.copyfile(os.path.join(RELEASE, ARCHIVE), self.archive)
        objects = []
        for path, source in files.items():
            out = os.path.join(self.directory, os.path.basename(path) + ".o")
            self._run(self._command(path, source, out) + ["-g", optimize] + list(more))
            objects.append(out)
        self._run(["ar", "r", self.archive] + objects)

    def link_program(self, program, more=()):
        words = [self.archive if word == ARCHIVE else word for word in self.link[program]] + list(more)
        words[words.index("-o") + 1] = self.program(program)
        self._run(words)

    def assemble(self, path, source, out):
        """What the machine is told, without what only a debugger needs."""
        self._run(self._command(path, source, out) + ["-g0", "-O1", "-S"])

    def _command(self, path, source, out):
        command = [word for word in self.compile[path] if word not in ("ccache", "-MD", "-O2", "-g", "-Werror")]
        command = command[:command.index("-o")] + ["-o", out, "-c", source]
        command += ["-Werror=uninitialized", "-Werror=maybe-uninitialized"]  # a mutant that reads what is not set is none
        for flag in ("-MT", "-MF"):
            if flag in command:
                at = command.index(flag)
                del command[at:at + 2]
        return command + ["-I" + os.path.join(TOP, os.path.dirname(path))]

    def program(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def _run(command):
        done = subprocess.run(command, cwd=RELEASE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(done.stderr[-2000:])


def run(command, seconds):
    """Return code and last lines of what it says; None when it does not come to an end."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None, ["no end within %d s" % seconds]
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-40:]
