import type { IpAddress } from "../../wire/ip.js";
import type { Micros } from "../../sim/time.js";
import type { Element } from "./element.js";
import type { Extensions, GivenExtensions, LookupOptions } from "./extensions.js";
import type { SetError } from "./failure.js";

/** What a command asks for: an element, or a range of them. */
export interface ElementRequest {
  readonly element: Element;
  readonly ipTo: IpAddress | undefined;
  /** A length was given with the first address. */
  readonly hasCidr: boolean;
  readonly ip2To: IpAddress | undefined;
  readonly hasCidr2: boolean;
  readonly portTo: number | undefined;
  readonly nomatch: boolean;
  /** list:set: where among the members. */
  readonly reference: { readonly name: string; readonly where: "before" | "after" } | undefined;
  readonly given: GivenExtensions;
}

export type Operation = "add" | "del" | "test";

/** How a request is carried out. */
export interface RequestOptions {
  /** `-exist`: what is there already, or not there, is no error. */
  readonly exist: boolean;
  readonly now: Micros;
}

/** An element as a listing shows it. */
export interface Listed {
  readonly element: Element;
  readonly nomatch: boolean;
  readonly extensions: Extensions;
}

/** What a packet's lookup found; `nomatch`: the element that decides says no. */
export type Found = "yes" | "no" | "nomatch";

/** Options of an add that a packet makes. */
export interface PacketAdd {
  readonly exist: boolean;
  readonly given: GivenExtensions;
}

/** The elements of a set of one kind. What a packet brings is an `Element` with whole addresses. */
export interface SetStore {
  /** Elements, expired ones perhaps among them, as list counts them. */
  count(now: Micros): number;
  bytes(): number;
  entries(now: Micros): Iterable<Listed>;
  /** What a command asks: undefined when it is done, true or false for a test. */
  request(
    operation: Operation,
    request: ElementRequest,
    options: RequestOptions,
  ): SetError | boolean | undefined;
  lookup(element: Element, options: LookupOptions, now: Micros): Found;
  /** Whether the packet's element was added. */
  addPacket(element: Element, options: PacketAdd, now: Micros): boolean;
  deletePacket(element: Element, now: Micros): boolean;
  flush(): void;
}
