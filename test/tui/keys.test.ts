import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type InputEvent, KeyReader } from "../../src/tui/keys.js";

const names = (events: readonly InputEvent[]): readonly string[] =>
  events.map((event) =>
    event.kind === "key"
      ? event.name
      : event.kind === "paste"
        ? `paste:${event.text}`
        : `${event.action}@${event.column},${event.row}`,
  );

function read(...chunks: readonly string[]): readonly string[] {
  const reader = new KeyReader();
  return chunks.flatMap((chunk) => names(reader.feed(chunk)));
}

/** Letters that sequences are made of, and some that they are not. */
const bytes = fc.constantFrom(...Array.from("\u001b\u001b[[<?0125;;MmIO~ABZj\r\t\u0000\u007fé世"));

describe("the key reader", () => {
  it("gives one event for each key of a burst", () => {
    expect(read("jjj")).toEqual(["j", "j", "j"]);
    expect(read("j\u001b[Bk\u001b[A\r")).toEqual(["j", "Down", "k", "Up", "Enter"]);
  });

  it("names the keys that terminals send as sequences", () => {
    expect(
      read("\u001b[15~", "\u001bOP", "\u001b[Z", "\u001b[5~", "\u001b[6~", "\u001b[H", "\u001bOF"),
    ).toEqual(["F5", "F1", "S-Tab", "PageUp", "PageDown", "Home", "End"]);
    expect(read("\u007f", "\u001b[3~", "\t", " ", "\u0004", "\u001b[1;5C")).toEqual([
      "Backspace",
      "Delete",
      "Tab",
      "Space",
      "C-d",
      "C-Right",
    ]);
  });

  it("puts an arrow together that came in two reads", () => {
    expect(read("\u001b", "[A")).toEqual(["Up"]);
    expect(read("\u001b[", "A")).toEqual(["Up"]);
  });

  it("takes a lone escape for the key when nothing follows", () => {
    const reader = new KeyReader();
    expect(reader.feed("\u001b")).toEqual([]);
    expect(reader.pending).toBe(true);
    expect(names(reader.flush())).toEqual(["Escape"]);
    expect(reader.pending).toBe(false);
  });

  it("gives a paste as one text, also when its end is cut by a read", () => {
    expect(read("\u001b[200~a\nb\u001b[2", "01~j")).toEqual(["paste:a\nb", "j"]);
  });

  it("keeps what it has of a paste while its end is still to come", () => {
    const reader = new KeyReader();
    expect(reader.feed("\u001b[200~abc")).toEqual([]);
    expect(reader.pending).toBe(false);
    expect(names(reader.feed("def\u001b[201~"))).toEqual(["paste:abcdef"]);
  });

  it("understands the wheel and a click, and drops focus reports", () => {
    expect(
      read("\u001b[<65;10;5M\u001b[<64;1;2M\u001b[<0;3;4M\u001b[<0;3;4m\u001b[I\u001b[O"),
    ).toEqual(["wheel-down@10,5", "wheel-up@1,2", "press@3,4"]);
  });

  it("keeps an accent with its letter", () => {
    expect(read("e\u0301x")).toEqual(["e\u0301", "x"]);
  });

  it("gives the same events however plain bytes and sequences are cut", () => {
    const pieces = fc.constantFrom(
      "j",
      "k",
      "\u001b[A",
      "\u001b[15~",
      "\u001b[200~x y\u001b[201~",
      "\r",
      "\u001b[<65;1;1M",
      "ß",
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 20 }),
        fc.array(fc.nat({ max: 80 }), { maxLength: 6 }),
        (parts, cuts) => {
          const text = parts.join("");
          const places = [
            ...cuts.map((cut) => Math.min(cut, text.length)),
            0,
            text.length,
          ].toSorted((a, b) => a - b);
          const chunks = places.slice(1).map((end, index) => text.slice(places[index], end));
          expect(read(...chunks)).toEqual(read(text));
        },
      ),
    );
  });

  it("never throws and never holds text back for ever, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: bytes, maxLength: 12 })), (chunks) => {
        const reader = new KeyReader();
        for (const chunk of chunks) reader.feed(chunk);
        reader.flush();
        expect(reader.pending).toBe(false);
      }),
    );
  });
});
