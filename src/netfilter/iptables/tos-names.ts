import { hex, parseNumber } from "./numbers.js";
import { refuse } from "./refusal.js";

const CLASSES: ReadonlyMap<string, number> = new Map([
  ["BE", 0x00],
  ["EF", 0x2e],
  ["CS0", 0x00],
  ["CS1", 0x08],
  ["CS2", 0x10],
  ["CS3", 0x18],
  ["CS4", 0x20],
  ["CS5", 0x28],
  ["CS6", 0x30],
  ["CS7", 0x38],
  ["AF11", 0x0a],
  ["AF12", 0x0c],
  ["AF13", 0x0e],
  ["AF21", 0x12],
  ["AF22", 0x14],
  ["AF23", 0x16],
  ["AF31", 0x1a],
  ["AF32", 0x1c],
  ["AF33", 0x1e],
  ["AF41", 0x22],
  ["AF42", 0x24],
  ["AF43", 0x26],
]);

/** The number of a class of RFC 2474, 2597 or 3246. */
export function dscpClass(text: string): number {
  const value = CLASSES.get(text.toUpperCase());
  if (value === undefined) throw refuse(`Invalid DSCP value \`${text}'`);
  return value;
}

const TOS_NAMES: ReadonlyMap<string, number> = new Map([
  ["minimize-delay", 0x10],
  ["maximize-throughput", 0x08],
  ["maximize-reliability", 0x04],
  ["minimize-cost", 0x02],
  ["normal-service", 0x00],
]);

/** A TOS byte under a mask. */
export interface TosMask {
  readonly value: number;
  readonly mask: number;
}

/** `V[/M]`, or a name of RFC 1349 under mask 0x3f. */
export function readTos(text: string): TosMask {
  const named = TOS_NAMES.get(text.toLowerCase());
  if (named !== undefined) return { value: named, mask: 0x3f };
  const [first = "", second] = text.split("/");
  const value = parseNumber(first, 0, 255);
  const mask = second === undefined ? 0xff : parseNumber(second, 0, 255);
  if (value === undefined || mask === undefined) throw refuse(`Symbolic name "${text}" is unknown`);
  return { value, mask };
}

export function formatTos({ value, mask }: TosMask): string {
  return `${hex(value, 2)}/${hex(mask, 2)}`;
}
