import type { IpAddress } from "../../wire/ip.js";
import { type AddressText, bitsOf, readAddresses, readMac } from "./addresses.js";
import type { IpSet } from "./create.js";
import { type Element, formatElement, formatSetAddress, NO_ELEMENT } from "./element.js";
import type { GivenExtensions } from "./extensions.js";
import { SetRefusal, syntaxError } from "./failure.js";
import { needInteger } from "./numbers.js";
import { readPorts, readProtoPort } from "./ports.js";
import type { ElementRequest, Operation } from "./store.js";
import type { Dimension } from "./types.js";

/** What was read of an element so far. */
export interface Parts {
  element: Element;
  ipTo: IpAddress | undefined;
  hasCidr: boolean;
  ip2To: IpAddress | undefined;
  hasCidr2: boolean;
  portTo: number | undefined;
  reference: ElementRequest["reference"];
  /** The complaint about a protocol of the other family. */
  wrongFamily: string | undefined;
}

/** What options behind the element add to it. */
export interface ElementOptions {
  readonly given: GivenExtensions;
  readonly nomatch: boolean;
  readonly wildcard: boolean;
  readonly reference: ElementRequest["reference"];
}

const NAME_LIMIT = 31;
const IFACE_LIMIT = 15;

/** Reads the element of an add, del or test. Mirrors lib/parse.c:ipset_parse_elem(). */
export function readElement(text: string, set: IpSet, operation: Operation): Parts {
  const parts = newParts(set);
  if (set.type.method === "list") {
    readMember(text, parts);
    return parts;
  }
  splitElement(text, set).forEach((part, index) => readPart(part, index, set, parts));
  if (operation === "test") refuseRanges(parts, set);
  return parts;
}

export function requestOf(parts: Parts, options: ElementOptions): ElementRequest {
  return {
    ...parts,
    element: { ...parts.element, wildcard: options.wildcard },
    nomatch: options.nomatch,
    given: options.given,
    reference: options.reference ?? parts.reference,
  };
}

function newParts({ family, type }: IpSet): Parts {
  const cidr = bitsOf(family);
  const none = (family === "inet6" ? 0n : 0) as IpAddress;
  const noMac = type.name === "bitmap:ip,mac" ? { mac: undefined } : {};
  return {
    element: { ...NO_ELEMENT, ip: none, ip2: none, cidr, cidr2: cidr, ...noMac },
    ipTo: undefined,
    hasCidr: false,
    ip2To: undefined,
    hasCidr2: false,
    portTo: undefined,
    reference: undefined,
    wrongFamily: undefined,
  };
}

const ORDINALS = ["Second", "Third"] as const;

/** Splits at commas, which must be as many as the type has. */
function splitElement(text: string, { type }: IpSet): readonly string[] {
  const wanted = type.dimensions.length;
  const words = text.split(",");
  // A comma at either end separates nothing.
  const pieces = words.every((word) => word !== "") ? words : [text];
  const optional = type.name === "bitmap:ip,mac" && pieces.length === 1;
  if (pieces.length < wanted && !optional)
    throw syntaxError(
      `${ORDINALS[pieces.length - 1] ?? "Third"} element is missing from ${text}.`,
      text,
    );
  if (pieces.length > wanted) {
    const found = ["Elem separator", "Two elem separators", "Three elem separators"][wanted - 1];
    const allowed = ["none", "one", "two"][wanted - 1];
    throw syntaxError(`${found} in ${text}, but settype ${type.name} supports ${allowed}.`, text);
  }
  return pieces;
}

function readPart(text: string, index: number, set: IpSet, parts: Parts): void {
  const { type, family } = set;
  const dimension: Dimension | undefined = type.dimensions[index];
  switch (dimension) {
    case "ip":
    case "net":
      return readNet(text, index, set, parts);
    case "port": {
      const read = type.method === "bitmap" ? bitmapPort(text) : readProtoPort(text, family);
      const { proto, port, portTo } = read;
      parts.wrongFamily = read.wrongFamily;
      parts.element = { ...parts.element, proto, port };
      parts.portTo = portTo;
      return;
    }
    case "mac": {
      // An address of zeros is none at all to a bitmap.
      const mac = readMac(text);
      const shown = mac === 0 && type.method === "bitmap" ? undefined : mac;
      parts.element = { ...parts.element, mac: shown };
      return;
    }
    case "mark":
      parts.element = { ...parts.element, mark: needInteger(text, 0, 0xffff_ffff) };
      return;
    case "iface":
      return readInterface(text, parts);
    case "set":
    case undefined:
      return;
  }
}

function bitmapPort(text: string): ReturnType<typeof readProtoPort> {
  const colon = text.indexOf(":");
  if (colon > 0) return readProtoPort(text, "inet");
  return { proto: 6, ...readPorts(text, 6) };
}

function readNet(text: string, index: number, { type, family }: IpSet, parts: Parts): void {
  const isNet = type.dimensions[index] === "net";
  const wide = family === "inet6";
  const plain = type.name === "bitmap:ip,mac" || (index > 0 && !isNet) || (wide && !isNet);
  const read: AddressText = readAddresses(text, family, { cidr: !plain, range: !plain && !wide });
  const cidr = read.cidr ?? bitsOf(family);
  if (index === 0) {
    parts.element = { ...parts.element, ip: read.address, cidr };
    parts.ipTo = read.to;
    parts.hasCidr = read.cidr !== undefined;
  } else {
    parts.element = { ...parts.element, ip2: read.address, cidr2: cidr };
    parts.ip2To = read.to;
    parts.hasCidr2 = read.cidr !== undefined;
  }
}

function readInterface(text: string, parts: Parts): void {
  const physdev = text.startsWith("physdev:");
  const iface = physdev ? text.slice("physdev:".length) : text;
  if (iface.length > IFACE_LIMIT)
    throw syntaxError(`interface name '${iface}' is longer than ${IFACE_LIMIT} characters`, iface);
  parts.element = { ...parts.element, iface, physdev };
}

/** `NAME`, or in an older form `NAME,before,OTHER`. */
function readMember(text: string, parts: Parts): void {
  const [name = "", where, other, ...more] = text.split(",");
  if (where !== undefined) {
    if ((where !== "before" && where !== "after") || other === undefined || more.length > 0)
      throw new SetRefusal("you must specify elements as setname,[before|after],setname", {
        word: text,
      });
    parts.reference = { name: readSetName(other), where };
  }
  parts.element = { ...parts.element, iface: readSetName(name) };
}

/** The name of a set, at most 31 bytes. */
export function readSetName(text: string): string {
  if (new TextEncoder().encode(text).length > NAME_LIMIT)
    throw syntaxError(`setname '${text}' is longer than ${NAME_LIMIT} characters`, text);
  return text;
}

/** A test asks for one element; hash:ip and bitmap:ip look at the first of a range. */
function refuseRanges(parts: Parts, { type, family }: IpSet): void {
  const refuse = (what: string): never => {
    throw new SetRefusal(
      `${what} is not allowed in command test with set type ${type.name} and family ${family}`,
    );
  };
  const isNet = type.dimensions[0] === "net";
  if (parts.hasCidr && !isNet && type.name !== "hash:ip") refuse("IP/CIDR range");
  if (parts.ipTo !== undefined && type.name !== "hash:ip" && type.name !== "bitmap:ip")
    refuse("FROM-TO IP range");
  if (parts.portTo !== undefined) refuse("FROM-TO port range");
  if (parts.ip2To !== undefined) refuse("FROM-TO IP range");
}

/** The element as a test's answer repeats it. */
export function formatRequest(request: ElementRequest, { type }: IpSet): string {
  const { element, ipTo, hasCidr, reference } = request;
  const text = formatElement({ ...element, physdev: false }, type);
  if (reference !== undefined) return `${text} after ${reference.name}`;
  const first = formatSetAddress(element.ip);
  if (type.dimensions[0] !== "ip" || !text.startsWith(first)) return text;
  const range =
    ipTo !== undefined ? `-${formatSetAddress(ipTo)}` : hasCidr ? `/${element.cidr}` : "";
  return `${first}${range}${text.slice(first.length)}`;
}
