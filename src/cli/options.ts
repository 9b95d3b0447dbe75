import { existsSync } from "node:fs";
import { safeText } from "../base/safe-text.js";
import { type Command, InvalidArgumentError, Option } from "commander";

/** Adds `-w`, which may be given several times; HOPWISE_WORLD stands in for it. */
export function worldOption(command: Command): Command {
  return command.addOption(
    new Option(
      "-w, --world <path>",
      "file, folder, - or demo:NAME; repeatable, merged left to right (else HOPWISE_WORLD)",
    ).argParser(several),
  );
}

/** The values of an option that may be given several times, in their order. */
export function several(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

/** `--addr DEVICE=ADDRESS`, any number of times. */
export function addrOption(): Option {
  return new Option(
    "--addr <device=address>",
    "an address that no dump tells, eth0=192.0.2.10/24; repeatable",
  ).argParser(several);
}

/** Adds `--patch`, which may be given several times: manifests applied over the world. */
export function patchOption(command: Command): Command {
  return command.addOption(
    new Option(
      "--patch <file>",
      "what if: apply these manifests over the world; repeatable",
    ).argParser(several),
  );
}

/** Adds `--patch`, `--set` and `--without`, each of which may be given several times. */
export function whatIfOptions(command: Command): Command {
  return patchOption(command)
    .addOption(
      repeatable(
        "--set <what=value>",
        "what if: worker-1.eth0.mtu=1400, worker-1.net.ipv4.ip_forward=0, svc/shop/web.sessionAffinity=ClientIP",
      ),
    )
    .addOption(
      repeatable(
        "--without <thing>",
        'what if: policy/shop/db-from-api, svc/shop/web, "worker-2 filter FORWARD[5]", FILE:LINE of a rule',
      ),
    );
}

function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; repeatable`).argParser(several);
}

/** The first line of an answer about a world that is not quite the one that was given; empty without patches. */
export function whatIf(patches: readonly string[] | undefined): string {
  return patches === undefined ? "" : `what if: ${safeText(patches.join(", "))} applied\n`;
}

/** A whole number from `low` to `high`, as an option's argument. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high)
      throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
    return value;
  };
}

/** Whether a world is named besides the command line. */
export function worldIsNamed(): boolean {
  const fromEnvironment = process.env["HOPWISE_WORLD"];
  return (fromEnvironment !== undefined && fromEnvironment !== "") || existsSync("./hopwise.yaml");
}

/** The worlds that a command line names: -w, else HOPWISE_WORLD, else ./hopwise.yaml. */
export function worldPaths(given: readonly string[] | undefined): readonly string[] {
  const fromEnvironment = process.env["HOPWISE_WORLD"];
  if (given !== undefined) return given;
  return fromEnvironment === undefined || fromEnvironment === ""
    ? ["./hopwise.yaml"]
    : [fromEnvironment];
}
