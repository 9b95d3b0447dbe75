import { get16 } from "../../wire/bytes.js";

/** A message with its length before it, as DNS over TCP sends it. RFC 1035 §4.2.2. */
export function frameMessage(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 2);
  framed[0] = message.length >> 8;
  framed[1] = message.length & 255;
  framed.set(message, 2);
  return framed;
}

/** Cuts a stream of bytes into messages. */
export class MessageReader {
  #rest: Uint8Array = new Uint8Array();

  /** The messages that are whole now. */
  read(data: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.#rest.length + data.length);
    bytes.set(this.#rest);
    bytes.set(data, this.#rest.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (at + 2 <= bytes.length && at + 2 + get16(bytes, at) <= bytes.length) {
      const end = at + 2 + get16(bytes, at);
      messages.push(bytes.slice(at + 2, end));
      at = end;
    }
    this.#rest = bytes.slice(at);
    return messages;
  }
}
