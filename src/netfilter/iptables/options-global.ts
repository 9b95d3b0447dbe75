/** One option that every command line knows: its letter, its long names, and whether it takes a word. */
export interface GlobalOption {
  readonly letter: string;
  readonly names: readonly string[];
  readonly argument: "none" | "one" | "maybe";
}

/** Mirrors the long options of iptables/iptables.c, in its order. */
export const GLOBAL_OPTIONS: readonly GlobalOption[] = [
  { letter: "A", names: ["append"], argument: "one" },
  { letter: "D", names: ["delete"], argument: "one" },
  { letter: "C", names: ["check"], argument: "one" },
  { letter: "I", names: ["insert"], argument: "one" },
  { letter: "R", names: ["replace"], argument: "one" },
  { letter: "L", names: ["list"], argument: "maybe" },
  { letter: "S", names: ["list-rules"], argument: "maybe" },
  { letter: "F", names: ["flush"], argument: "maybe" },
  { letter: "Z", names: ["zero"], argument: "maybe" },
  { letter: "N", names: ["new-chain"], argument: "one" },
  { letter: "X", names: ["delete-chain"], argument: "maybe" },
  { letter: "E", names: ["rename-chain"], argument: "one" },
  { letter: "P", names: ["policy"], argument: "one" },
  { letter: "s", names: ["source", "src"], argument: "one" },
  { letter: "d", names: ["destination", "dst"], argument: "one" },
  { letter: "p", names: ["protocol"], argument: "one" },
  { letter: "i", names: ["in-interface"], argument: "one" },
  { letter: "o", names: ["out-interface"], argument: "one" },
  { letter: "j", names: ["jump"], argument: "one" },
  { letter: "g", names: ["goto"], argument: "one" },
  { letter: "t", names: ["table"], argument: "one" },
  { letter: "m", names: ["match"], argument: "one" },
  { letter: "n", names: ["numeric"], argument: "none" },
  { letter: "v", names: ["verbose"], argument: "none" },
  { letter: "x", names: ["exact"], argument: "none" },
  { letter: "f", names: ["fragments"], argument: "none" },
  { letter: "0", names: ["line-numbers"], argument: "none" },
  { letter: "w", names: ["wait"], argument: "maybe" },
  { letter: "W", names: ["wait-interval"], argument: "maybe" },
  { letter: "M", names: ["modprobe"], argument: "one" },
  { letter: "V", names: ["version"], argument: "none" },
  { letter: "h", names: ["help"], argument: "maybe" },
  { letter: "c", names: ["set-counters"], argument: "one" },
  { letter: "4", names: ["ipv4"], argument: "none" },
  { letter: "6", names: ["ipv6"], argument: "none" },
];

/** The same by each of their long names, and by letter. */
export const GLOBAL_BY_NAME: ReadonlyMap<string, GlobalOption> = new Map(
  GLOBAL_OPTIONS.flatMap((option) => option.names.map((name) => [name, option] as const)),
);
export const GLOBAL_BY_LETTER: ReadonlyMap<string, GlobalOption> = new Map(
  GLOBAL_OPTIONS.filter(({ letter }) => letter !== "0").map((option) => [option.letter, option]),
);

export const COMMAND_LETTERS = "ADCIRLSFZNXEP";

/** The options that may not stand beside a command, by its letter. Mirrors commands_v_options of iptables/xshared.c. */
export const ILLEGAL_OPTIONS: Readonly<Record<string, string>> = {
  A: "nx0",
  C: "nx0c",
  D: "nx0c",
  I: "nx0",
  R: "nx0",
  L: "sdpjiofc",
  S: "sdpjiofcnx0",
  F: "sdpjiofcnx0",
  Z: "sdpjiofcnx0",
  N: "sdpjiofcnx0",
  X: "sdpjiofcnx0",
  E: "sdpjiofcnx0",
  P: "sdpjiofnx0",
};
