# The program. `handlers` chooses what it can serve beside the call protocol; without all of them it is a lean variant.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  handlers ? [
    "http"
    "tty"
  ],
  buildPackages,
}:
let
  manifest = lib.importTOML ../Cargo.toml;
  all = [
    "http"
    "tty"
  ];
  isWhole = lib.sort lib.lessThan handlers == all;
  runsHere = stdenv.buildPlatform.canExecute stdenv.hostPlatform;
in
rustPlatform.buildRustPackage {
  pname = lib.concatStringsSep "-" (
    [ "alknet" ] ++ lib.optionals (!isWhole) (if handlers == [ ] then [ "call" ] else handlers)
  );
  inherit (manifest.workspace.package) version;

  # Only what the build reads, so that a change of the documents builds nothing.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      ../clippy.toml
      ../rustfmt.toml
      ../crates
      ../dist
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  buildAndTestSubdir = "crates/alknet";
  buildNoDefaultFeatures = !isWhole;
  # Tools for MCP clients come with HTTP.
  buildFeatures = lib.optionals (!isWhole) (handlers ++ lib.optional (lib.elem "http" handlers) "mcp");

  nativeBuildInputs = [ installShellFiles ];

  # The tests that need no client and no network of their own. The rest of them are the flake's checks.
  cargoTestFlags = [
    "--lib"
    "--bins"
  ];

  postInstall =
    let
      alknet = if runsHere then "$out/bin/alknet" else lib.getExe buildPackages.alknet;
    in
    ''
      for shell in bash fish zsh; do
        ${alknet} completions "$shell" > "alknet.$shell"
      done
      installShellCompletion --cmd alknet --bash alknet.bash --fish alknet.fish --zsh alknet.zsh
      ${alknet} man man
      installManPage man/*
    '';

  doInstallCheck = runsHere;
  installCheckPhase = ''
    runHook preInstallCheck
    "$out/bin/alknet" --version | grep -F "$version"
    "$out/bin/alknet" init --dir node --state-dir node/state --name check >/dev/null
    "$out/bin/alknet" check-config node/alknet.toml
    runHook postInstallCheck
  '';

  passthru.handlers = [ "call" ] ++ handlers;

  meta = {
    description = "Networking toolkit that you host yourself: a service is an ALPN";
    license = with lib.licenses; [
      asl20
      mit
    ];
    mainProgram = "alknet";
    platforms = lib.platforms.linux;
  };
}
