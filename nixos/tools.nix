# What the build and the tests use, for the development shell and the checks.
pkgs:
with pkgs;
[
  cargo
  cargo-deny
  cargo-nextest
  clippy
  curl
  iproute2
  nghttp2
  openssl
  procps
  python3
  rust-analyzer
  rustc
  rustfmt
  shellcheck
  systemd
  util-linux
]
