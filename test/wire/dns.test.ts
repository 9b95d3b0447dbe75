import dnsPacket from "dns-packet";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeDns, encodeDns } from "../../src/wire/dns.js";
import { formatDns } from "../../src/wire/format-dns.js";
import type { DnsMessage } from "../../src/wire/dns-message.js";

const reply: DnsMessage = {
  id: 0x1112,
  opcode: 0,
  qr: true,
  aa: true,
  tc: false,
  rd: true,
  ra: false,
  ad: false,
  cd: false,
  rcode: "NOERROR",
  questions: [{ name: "Web.shop.example.", type: "SRV", class: "IN" }],
  answers: [
    {
      name: "web.shop.example.",
      type: "SRV",
      class: "IN",
      ttl: 30,
      data: "0 100 80 a.shop.example.",
    },
    { name: "web.shop.example.", type: "TXT", class: "IN", ttl: 5, data: '"v=1; \\"x\\"" "two"' },
    { name: "web.shop.example.", type: "MX", class: "IN", ttl: 5, data: "10 a.shop.example." },
    {
      name: "web.shop.example.",
      type: "CAA",
      class: "IN",
      ttl: 5,
      data: '0 issue "letsencrypt.org"',
    },
    {
      name: "web.shop.example.",
      type: "HTTPS",
      class: "IN",
      ttl: 5,
      data: '1 . alpn="h2,h3" port="443"',
    },
    { name: "web.shop.example.", type: "NSEC", class: "IN", ttl: 5, data: "a.shop.example. A CAA" },
    {
      name: "web.shop.example.",
      type: "RRSIG",
      class: "IN",
      ttl: 5,
      data: "A 8 2 1800 20160426031301 20160327031301 12051 shop.example. AQIDBA==",
    },
    { name: "web.shop.example.", type: "TYPE65400", class: "IN", ttl: 5, data: "\\# 2 0A0B" },
  ],
  authorities: [
    {
      name: "shop.example.",
      type: "SOA",
      class: "IN",
      ttl: 60,
      data: "ns.shop.example. h.shop.example. 7 7200 1800 86400 5",
    },
  ],
  additionals: [
    { name: "a.shop.example.", type: "A", class: "IN", ttl: 30, data: "10.1.2.3" },
    { name: "a.shop.example.", type: "AAAA", class: "IN", ttl: 30, data: "2001:db8::1" },
  ],
  edns: { udpSize: 1232, version: 0, do: true, options: [{ code: 3, data: Uint8Array.of(1, 2) }] },
};

test("a message with every kind of data comes back as it was, compressed or not", () => {
  for (const compress of [true, false]) {
    const bytes = encodeDns(reply, { compress });
    expect(decodeDns(bytes)).toEqual({ ok: true, value: reply });
  }
});

test("dns-packet reads the same names and addresses from our bytes", () => {
  const other = dnsPacket.decode(Buffer.from(encodeDns(reply)));
  expect(other.id).toBe(0x1112);
  expect(other.answers?.[0]).toMatchObject({
    type: "SRV",
    data: { target: "a.shop.example", port: 80, weight: 100 },
  });
  expect(other.additionals?.[0]).toMatchObject({ type: "A", data: "10.1.2.3" });
  expect(other.authorities?.[0]).toMatchObject({
    type: "SOA",
    data: { serial: 7, mname: "ns.shop.example" },
  });
});

test("a query of dns-packet is read by us", () => {
  const bytes = dnsPacket.encode({
    type: "query",
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ type: "A", name: "api.shop" }],
  });
  const result = decodeDns(bytes);
  expect(result.ok && formatDns(result.value)).toBe("7+ A? api.shop.");
});

test("names are compressed to a pointer at their first place", () => {
  const short = encodeDns(reply);
  const long = encodeDns(reply, { compress: false });
  expect(short.length).toBeLessThan(long.length - 100);
});

test("the extended response code goes into the OPT record", () => {
  const bytes = encodeDns({ ...reply, rcode: "BADVERS" });
  expect((bytes[3] ?? 0) & 15).toBe(0);
  const back = decodeDns(bytes);
  expect(back.ok && back.value.rcode).toBe("BADVERS");
});

test("a pointer that goes forward or to itself is refused", () => {
  const loop = Uint8Array.of(0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1);
  expect(decodeDns(loop)).toEqual({
    ok: false,
    reason: "question 1 is cut short or has a bad name",
  });
});

test("a message cut anywhere is refused", () => {
  const bytes = encodeDns(reply);
  for (let length = 0; length < bytes.length; length++) {
    expect(decodeDns(bytes.subarray(0, length)).ok).toBe(false);
  }
});

test("a quote inside a label does not end the name in a record's data", () => {
  const target = '0 100 80 sho\\".example.';
  const bytes = encodeDns({
    ...reply,
    answers: reply.answers.slice(0, 1).map((record) => ({ ...record, data: target })),
  });
  const back = decodeDns(bytes);
  expect(back.ok && back.value.answers[0]?.data).toBe(target);
});

test("random bytes never throw, and what is read can be written again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const result = decodeDns(bytes);
      if (result.ok) expect(encodeDns(result.value).length).toBeGreaterThanOrEqual(12);
    }),
    { numRuns: 5000 },
  );
});

test("a changed byte in a valid message never throws, and what is read can be written again", () => {
  const bytes = encodeDns(reply);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = value;
      const result = decodeDns(changed);
      if (result.ok) expect(encodeDns(result.value).length).toBeGreaterThanOrEqual(12);
    }),
    { numRuns: 5000 },
  );
});
