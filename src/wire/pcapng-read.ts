import { type Capture, captureLimits, CaptureReader, damaged } from "./capture.js";

/** Block types. draft-ietf-opsawg-pcapng. All others are passed over: names, statistics, secrets, logs, a vendor's own. */
const SECTION_HEADER = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;

/** Options. */
const OPT_END = 0;
const OPT_COMMENT = 1;
const IF_NAME = 2;
const IF_TSRESOL = 9;
const IF_FCSLEN = 13;
const IF_TSOFFSET = 14;
const PACKET_FLAGS = 2;

/** Longest comment that is kept, in bytes. */
const COMMENT = 1000;

/** One interface of the section that is being read. */
interface SectionInterface {
  /** An index into the interfaces of the file. */
  readonly index: number;
  readonly snapLength: number;
  /** How its times count. */
  readonly toNanos: (time: bigint) => bigint;
  readonly fcs: number;
}

interface Section {
  readonly little: boolean;
  readonly interfaces: SectionInterface[];
}

/** One block: `body` and `end` are where its fields stand, without both lengths. */
interface Block {
  readonly at: number;
  readonly type: number;
  readonly body: number;
  readonly end: number;
}

/** Reads a pcapng file: any number of sections, each in its own byte order. Throws a UserError that names the byte. */
export function readPcapng(file: string, bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new CaptureReader(file);
  let section: Section = { little: false, interfaces: [] };
  for (let at = 0; at < bytes.length;) {
    const isHeader = bytes.length - at >= 4 && view.getUint32(at) === SECTION_HEADER;
    if (isHeader) {
      const little = byteOrderOf(reader, view, at);
      if (little === undefined) break;
      section = { little, interfaces: [] };
    }
    const block = blockAt(reader, view, at, section.little);
    if (block === undefined) break;
    readBlock(reader, view, block, section);
    at = block.end + 4;
  }
  return reader.done("pcapng", bytes);
}

/** Whether a section is little endian; undefined when the file ends before it says so. */
function byteOrderOf(reader: CaptureReader, view: DataView, at: number): boolean | undefined {
  if (view.byteLength - at < 12) {
    reader.cutShort(at, "the file ends inside a section header");
    return undefined;
  }
  const magic = view.getUint32(at + 8);
  if (magic === BYTE_ORDER_MAGIC) return false;
  if (magic === 0x4d3c_2b1a) return true;
  throw damaged(
    reader.file,
    at + 8,
    `0x${magic.toString(16).padStart(8, "0")} is no byte-order magic`,
  );
}

function blockAt(
  reader: CaptureReader,
  view: DataView,
  at: number,
  little: boolean,
): Block | undefined {
  const left = view.byteLength - at;
  if (left < 12) {
    reader.cutShort(at, `the file ends inside a block: ${left} of at least 12 bytes`);
    return undefined;
  }
  const type = view.getUint32(at, little);
  const length = view.getUint32(at + 4, little);
  const least = type === SECTION_HEADER ? 28 : 12;
  if (length < least)
    throw damaged(
      reader.file,
      at + 4,
      `block in pcapng dump file has a length of ${length} < ${least}`,
    );
  if (length % 4 !== 0)
    throw damaged(reader.file, at + 4, `block length ${length} is not a multiple of 4`);
  if (length > left) {
    reader.cutShort(at, `the file ends inside a block: ${left} of ${length} bytes`);
    return undefined;
  }
  const again = view.getUint32(at + length - 4, little);
  if (again !== length)
    throw damaged(
      reader.file,
      at + length - 4,
      `block total length ${again} at its end, ${length} at its beginning`,
    );
  return { at, type, body: at + 8, end: at + length - 4 };
}

function readBlock(reader: CaptureReader, view: DataView, block: Block, section: Section): void {
  switch (block.type) {
    case SECTION_HEADER:
      return checkVersion(reader, view, block, section.little);
    case INTERFACE_DESCRIPTION:
      return readInterface(reader, view, block, section);
    case ENHANCED_PACKET:
    case OBSOLETE_PACKET:
      return readPacket(reader, view, block, section);
    case SIMPLE_PACKET:
      return readSimple(reader, view, block, section);
    default:
      return undefined;
  }
}

function checkVersion(
  reader: CaptureReader,
  view: DataView,
  { body }: Block,
  little: boolean,
): void {
  const major = view.getUint16(body + 4, little);
  const minor = view.getUint16(body + 6, little);
  if (major !== 1 || (minor !== 0 && minor !== 2))
    throw damaged(reader.file, body + 4, `unsupported pcapng savefile version ${major}.${minor}`);
}

function readInterface(
  reader: CaptureReader,
  view: DataView,
  block: Block,
  section: Section,
): void {
  const { little } = section;
  needs(reader, block, 8, "an interface description");
  let name: string | undefined;
  let resolution = 6;
  let offset = 0n;
  let fcs = 0;
  for (const { code, start, length } of optionsIn(
    reader,
    view,
    block.body + 8,
    block.end,
    little,
  )) {
    if (code === IF_NAME) name = textAt(view, start, length);
    if (code === IF_TSRESOL && length >= 1) resolution = view.getUint8(start);
    if (code === IF_FCSLEN && length >= 1) fcs = view.getUint8(start);
    if (code === IF_TSOFFSET && length >= 8) offset = view.getBigInt64(start, little);
  }
  section.interfaces.push({
    index: reader.interfaces.length,
    snapLength: view.getUint32(block.body + 4, little),
    toNanos: timeScale(resolution, offset),
    fcs,
  });
  reader.addInterface({ name, linkType: view.getUint16(block.body, little) }, block.at);
}

/** `if_tsresol`: a negative power of 10, or of 2 when the highest bit is set. */
function timeScale(resolution: number, offset: bigint): (time: bigint) => bigint {
  const power = BigInt(resolution & 0x7f);
  const units = (resolution & 0x80) === 0 ? 10n ** power : 1n << power;
  return (time) => (time * 1_000_000_000n) / units + offset * 1_000_000_000n;
}

/** An enhanced packet block, or the packet block that it replaced: interface, time, lengths, bytes, options. */
function readPacket(reader: CaptureReader, view: DataView, block: Block, section: Section): void {
  const { body, end, type } = block;
  const { little } = section;
  needs(reader, block, 20, "a packet block");
  const id = type === ENHANCED_PACKET ? view.getUint32(body, little) : view.getUint16(body, little);
  const captured = view.getUint32(body + 12, little);
  const from = interfaceOf(reader, block, section, id);
  checkLength(reader, body + 12, captured, end - body - 20);
  const start = body + 20;
  let direction: "in" | "out" | undefined;
  let comment: string | undefined;
  for (const option of optionsIn(reader, view, start + padded(captured), end, little)) {
    const { code, start: value, length } = option;
    if (code === OPT_COMMENT) comment ??= textAt(view, value, Math.min(length, COMMENT));
    if (code === PACKET_FLAGS && length >= 4)
      direction = directionOf(view.getUint32(value, little));
  }
  const high = BigInt(view.getUint32(body + 4, little));
  const low = BigInt(view.getUint32(body + 8, little));
  const original = Math.max(view.getUint32(body + 16, little), captured);
  const trailer = captured === original ? Math.min(from.fcs, captured) : 0;
  reader.add(
    {
      interface: from.index,
      start,
      length: captured - trailer,
      originalLength: original - trailer,
      direction,
      comment,
    },
    from.toNanos((high << 32n) | low),
  );
}

/** The lowest two bits of a packet's flags. */
function directionOf(flags: number): "in" | "out" | undefined {
  return (flags & 3) === 1 ? "in" : (flags & 3) === 2 ? "out" : undefined;
}

/** A simple packet block: bytes of the section's first interface, without a time. */
function readSimple(reader: CaptureReader, view: DataView, block: Block, section: Section): void {
  needs(reader, block, 4, "a simple packet block");
  const from = interfaceOf(reader, block, section, 0);
  const original = view.getUint32(block.body, section.little);
  const snap = from.snapLength === 0 ? captureLimits.packetBytes : from.snapLength;
  const captured = Math.min(original, snap, block.end - block.body - 4);
  checkLength(reader, block.body, captured, block.end - block.body - 4);
  reader.add(
    {
      interface: from.index,
      start: block.body + 4,
      length: captured,
      originalLength: original,
      direction: undefined,
      comment: undefined,
    },
    undefined,
  );
}

function interfaceOf(
  reader: CaptureReader,
  { body }: Block,
  { interfaces }: Section,
  id: number,
): SectionInterface {
  const found = interfaces[id];
  if (found !== undefined) return found;
  const count = interfaces.length;
  throw damaged(
    reader.file,
    body,
    `a packet arrived on interface ${id}, but there's no Interface Description Block for that interface (there ${count === 1 ? "is 1" : `are ${count}`} before it)`,
  );
}

function checkLength(reader: CaptureReader, at: number, captured: number, room: number): void {
  if (captured > captureLimits.packetBytes)
    throw damaged(
      reader.file,
      at,
      `invalid packet capture length ${captured}, bigger than maximum of ${captureLimits.packetBytes}`,
    );
  if (captured > room)
    throw damaged(
      reader.file,
      at,
      `a packet of ${captured} bytes in a block with room for ${Math.max(room, 0)}`,
    );
}

function needs(reader: CaptureReader, { body, end }: Block, fields: number, what: string): void {
  if (end - body < fields)
    throw damaged(reader.file, body, `${what} of ${end - body} bytes; it has at least ${fields}`);
}

interface OptionAt {
  readonly code: number;
  readonly start: number;
  readonly length: number;
}

function* optionsIn(
  reader: CaptureReader,
  view: DataView,
  from: number,
  end: number,
  little: boolean,
): Generator<OptionAt> {
  for (let at = from; at + 4 <= end;) {
    const code = view.getUint16(at, little);
    const length = view.getUint16(at + 2, little);
    if (code === OPT_END) return;
    if (at + 4 + length > end)
      throw damaged(
        reader.file,
        at + 2,
        `an option of ${length} bytes in a block with room for ${end - at - 4}`,
      );
    yield { code, start: at + 4, length };
    at += 4 + padded(length);
  }
}

function textAt(view: DataView, start: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + start, length);
  return new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
