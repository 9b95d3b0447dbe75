import { type Command, InvalidArgumentError, Option } from "commander";

/** Adds `-w`, which may be given several times; HOPWISE_WORLD stands in for it. */
export function worldOption(command: Command): Command {
  return command.addOption(
    new Option(
      "-w, --world <path>",
      "file, folder, - or demo:NAME; repeatable, merged left to right (else HOPWISE_WORLD)",
    ).argParser((value: string, before: readonly string[] | undefined): readonly string[] => [
      ...(before ?? []),
      value,
    ]),
  );
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

/** The worlds that a command line names: -w, else HOPWISE_WORLD, else ./hopwise.yaml. */
export function worldPaths(given: readonly string[] | undefined): readonly string[] {
  const fromEnvironment = process.env["HOPWISE_WORLD"];
  if (given !== undefined) return given;
  return fromEnvironment === undefined || fromEnvironment === ""
    ? ["./hopwise.yaml"]
    : [fromEnvironment];
}
