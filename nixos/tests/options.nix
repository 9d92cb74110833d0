# The options' reference, as Markdown: docs/nixos-options.md.
{
  lib,
  pkgs,
  evaluate,
}:
let
  isOurs = option: option.visible && !option.internal && lib.hasPrefix "services.alknet" option.name;
  all = lib.optionAttrSetToDocList (evaluate [ ]).options.services.alknet;
  listed = lib.filter (option: isOurs option && option.name != "services.alknet") all;

  words = text: if lib.isString text then text else text.text or (toString text);
  code =
    value:
    let
      text = lib.removeSuffix "\n" (words value);
    in
    if lib.hasInfix "\n" text then "\n\n```nix\n${text}\n```\n" else " `${text}`";
  # A default may be told in words.
  shown = value: if value._type or "" == "literalMD" then " ${words value}" else code value;
  # Names of peers and the like are up to whoever writes them.
  title = option: lib.replaceStrings [ "<" ">" ] [ "&lt;" "&gt;" ] option.name;

  entry =
    option:
    lib.concatStringsSep "\n\n" (
      [
        "## ${title option}"
        (lib.removeSuffix "\n" (words (option.description or "")))
        "*Type:* ${option.type}"
      ]
      ++ lib.optional (option ? default) "*Default:*${shown option.default}"
      ++ lib.optional (option ? example) "*Example:*${shown option.example}"
      ++ lib.optional option.readOnly "*Read-only*"
    )
    + "\n";

  text = ''
    # Options of the NixOS module

    Made from the module by `nixos/tests/evaluate`; `docs/nixos.md` says how to begin. The keys of `settings` and of the handlers'
    `settings` are those of [configuration.md](configuration.md).

    ${lib.concatMapStringsSep "\n" entry listed}'';
in
{
  text = builtins.unsafeDiscardStringContext text;
  document = pkgs.writeText "nixos-options.md" text;
}
