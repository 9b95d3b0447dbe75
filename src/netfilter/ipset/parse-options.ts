import { nearest } from "../../base/nearest.js";
import type { IpAddress } from "../../wire/ip.js";
import { bitsOf, readAddress, readAddresses, readLength } from "./addresses.js";
import type { CreateRequest } from "./create.js";
import type { GivenExtensions, SkbInfo } from "./extensions.js";
import { SetRefusal, syntaxError, usageError } from "./failure.js";
import { needInteger, needNumber } from "./numbers.js";
import { type ElementOptions, readSetName } from "./parse-element.js";
import { readPorts } from "./ports.js";
import type { Operation } from "./store.js";
import { hasNets, type SetFamily, type SetType } from "./types.js";

const U32 = 0xffff_ffff;
const MAX_TIMEOUT = 2_147_483;
const MAX_COUNTER = (1n << 64n) - 2n;

/** Options of one command: `T` collects what they say. */
type Readers<T> = Readonly<Record<string, OptionReader<T>>>;

interface OptionReader<T> {
  /** Without a value. */
  readonly flag?: true;
  /** What it sets; given twice is an error. Flags may be repeated. */
  readonly sets?: string;
  read(into: T, value: string): void;
}

/** Reads `name [value]…`. Unknown names, missing values and repetitions are refused in the tool's words. */
function readOptions<T>(words: readonly string[], readers: Readers<T>, into: T): void {
  const seen = new Set<string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const name = word.startsWith("--") ? word.slice(2) : word;
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (reader === undefined) {
      const near = nearest(name, Object.keys(readers));
      throw usageError(`Unknown argument: \`${word}'`, word, near && `did you mean "${near}"?`);
    }
    const value = reader.flag === true ? "" : words[++index];
    if (value === undefined)
      throw usageError(`Missing mandatory argument of option \`${name}'`, word);
    const key = reader.sets ?? name;
    if (seen.has(key) && (reader.flag !== true || reader.sets !== undefined))
      throw syntaxError(`${name} already specified`, word);
    seen.add(key);
    reader.read(into, value);
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Created extends Writable<CreateRequest> {
  kinds: Writable<CreateRequest["kinds"]>;
}

/** Reads what follows `create NAME TYPE`. */
export function readCreate(name: string, type: SetType, words: readonly string[]): CreateRequest {
  const created: Created = {
    name,
    type,
    family: type.families === "none" ? "unspec" : "inet",
    kinds: { timeout: undefined, counters: false, comment: false, skbinfo: false },
  };
  const own = Object.entries(CREATE_READERS).filter(([option]) =>
    type.options.some(
      (known) => known === option || (known === "family" && /^-[46]$/.test(option)),
    ),
  );
  readOptions(words, { ...Object.fromEntries(own), ...EXTENSION_READERS }, created);
  if (type.options.includes("range") && created.first === undefined)
    throw usageError("Mandatory option `range' is missing");
  if (
    type.options.includes("range") &&
    created.last === undefined &&
    created.rangeCidr === undefined
  )
    throw usageError("Mandatory option `to' is missing");
  return created;
}

function number(
  field: "hashsize" | "maxelem" | "initval" | "size" | "markmask",
  high = U32,
): OptionReader<Created> {
  return { read: (into, value) => void (into[field] = needInteger(value, 0, high)) };
}

function family(option: string): OptionReader<Created> {
  const flag = option !== "family";
  return {
    ...(flag ? { flag } : {}),
    sets: "family",
    read: (into, value) => void (into.family = readFamily(flag ? option : value)),
  };
}

const CREATE_READERS: Readers<Created> = {
  range: { read: readRange },
  family: family("family"),
  "-4": family("-4"),
  "-6": family("-6"),
  hashsize: number("hashsize"),
  maxelem: number("maxelem"),
  initval: number("initval"),
  size: number("size"),
  markmask: number("markmask"),
  bucketsize: { read: (into, value) => void (into.bucketsize = needInteger(value, 0, 255)) },
  forceadd: { flag: true, read: () => undefined },
  netmask: { read: readNetmask },
  bitmask: { read: readBitmask },
};

const EXTENSION_READERS: Readers<Created> = {
  timeout: {
    read: (into, value) => void (into.kinds.timeout = needInteger(value, 0, MAX_TIMEOUT)),
  },
  counters: { flag: true, read: (into) => void (into.kinds.counters = true) },
  comment: { flag: true, read: (into) => void (into.kinds.comment = true) },
  skbinfo: { flag: true, read: (into) => void (into.kinds.skbinfo = true) },
};

function readFamily(text: string): SetFamily {
  if (["inet", "ipv4", "-4"].includes(text)) return "inet";
  if (["inet6", "ipv6", "-6"].includes(text)) return "inet6";
  if (["any", "unspec"].includes(text)) return "unspec";
  throw syntaxError(`unknown inet family ${text}`, text);
}

function readRange(into: Created, text: string): void {
  if (into.type.name === "bitmap:port") {
    const { port, portTo } = readPorts(text.replace(/^tcp:/, ""), 6);
    into.first = port;
    into.last = portTo;
    return;
  }
  if (!/[-/]/.test(text))
    throw syntaxError(`IP/cidr or IP-IP range must be specified: ${text}`, text);
  const { address, to, cidr } = readAddresses(text, "inet", { cidr: true, range: true });
  into.first = Number(address);
  into.last = to === undefined ? undefined : Number(to);
  into.rangeCidr = cidr;
}

function readNetmask(into: Created, text: string): void {
  refuseBothMasks(into.bitmask);
  try {
    into.netmask = readLength(text, 1, into.family);
  } catch (error) {
    if (!(error instanceof SetRefusal)) throw error;
    const bounds = `1-${bitsOf(into.family)}`;
    throw new SetRefusal(
      `${error.message}\nSyntax error: netmask is out of the inclusive range of ${bounds}`,
      { word: text },
    );
  }
}

function readBitmask(into: Created, text: string): void {
  refuseBothMasks(into.netmask);
  try {
    into.bitmask = readAddress(text, into.family);
  } catch (error) {
    if (!(error instanceof SetRefusal)) throw error;
    throw new SetRefusal(
      `${error.message}\nSyntax error: bitmask is not valid for family = ${into.family}`,
      { word: text },
    );
  }
}

function refuseBothMasks(other: number | IpAddress | undefined): void {
  if (other !== undefined)
    throw syntaxError("bitmask and netmask are mutually exclusive, provide only one");
}

interface Given {
  given: Writable<GivenExtensions>;
  nomatch: boolean;
  wildcard: boolean;
  reference: ElementOptions["reference"];
}

/** Reads what follows the element of an add, del or test. */
export function readElementOptions(
  type: SetType,
  operation: Operation,
  words: readonly string[],
): ElementOptions {
  const options: Given = { given: {}, nomatch: false, wildcard: false, reference: undefined };
  const readers: Readers<Given> = {
    ...(operation === "add" ? ADD_READERS : {}),
    ...(hasNets(type) && operation !== "del" ? NOMATCH : {}),
    ...(type.name === "hash:net,iface" && operation === "add" ? WILDCARD : {}),
    ...(type.method === "list" ? PLACES : {}),
  };
  readOptions(words, readers, options);
  return options;
}

const NOMATCH: Readers<Given> = {
  nomatch: { flag: true, read: (into) => void (into.nomatch = true) },
};
const WILDCARD: Readers<Given> = {
  wildcard: { flag: true, read: (into) => void (into.wildcard = true) },
};
const PLACES: Readers<Given> = {
  before: place("before"),
  after: place("after"),
};
const ADD_READERS: Readers<Given> = {
  timeout: { read: ({ given }, text) => void (given.timeout = needInteger(text, 0, MAX_TIMEOUT)) },
  packets: { read: ({ given }, text) => void (given.packets = needNumber(text, 0n, MAX_COUNTER)) },
  bytes: { read: ({ given }, text) => void (given.bytes = needNumber(text, 0n, MAX_COUNTER)) },
  comment: { read: ({ given }, text) => void (given.comment = readComment(text)) },
  skbmark: { read: readMark },
  skbprio: { read: readPriority },
  skbqueue: {
    read: ({ given }, text) =>
      void (given.skbinfo = { ...skbOf(given), queue: needInteger(text, 0, 0xffff) }),
  },
};

function place(where: "before" | "after"): OptionReader<Given> {
  return {
    sets: "reference",
    read: (into, text) => void (into.reference = { name: readSetName(text), where }),
  };
}

function readComment(text: string): string {
  if (text.includes('"')) throw syntaxError('" character is not permitted in comments', text);
  if (new TextEncoder().encode(text).length > 255)
    throw syntaxError("Comment is longer than the maximum allowed 255 characters", text);
  return text;
}

function skbOf({ skbinfo }: GivenExtensions): SkbInfo {
  return skbinfo ?? { mark: 0, mask: 0, priority: 0, queue: 0 };
}

/** `0xV[/0xM]`, as sscanf() reads it. */
function readMark({ given }: Given, text: string): void {
  const match = /^0x([0-9a-f]+)(?:\/(?:0x)?([0-9a-f]+))?/i.exec(text);
  if (match === null || !text.startsWith("0x"))
    throw syntaxError(
      "Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)",
      text,
    );
  const [, value = "0", mask] = match;
  const exact = mask !== undefined && text.includes("/0x");
  given.skbinfo = { ...skbOf(given), mark: hex32(value), mask: exact ? hex32(mask) : U32 };
}

function hex32(digits: string): number {
  return Number(BigInt.asUintN(32, BigInt(`0x${digits}`)));
}

/** `MAJOR:MINOR` in hexadecimal, 16 bits each. */
function readPriority({ given }: Given, text: string): void {
  const match = /^([0-9a-f]+):([0-9a-f]+)/i.exec(text);
  if (match === null)
    throw syntaxError("Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)", text);
  const [major = 0, minor = 0] = match.slice(1).map((digits) => hex32(digits) & 0xffff);
  given.skbinfo = { ...skbOf(given), priority: major * 0x1_0000 + minor };
}
