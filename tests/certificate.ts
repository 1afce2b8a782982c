// A certificate that signs itself, for a server of https on this machine: X.509 (RFC 5280) in DER, of the little that is needed.
import { generateKeyPairSync, sign } from "node:crypto";

const [INTEGER, BITS, OCTETS, OID, UTF8, UTC, TIME, SEQUENCE, SET] = [2, 3, 4, 6, 12, 23, 24, 0x30, 0x31];

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Uint8Array.of(tag, ...size), body]);
}

const text = (tag: number, value: string) => der(tag, Buffer.from(value, "latin1"));
const oid = (...bytes: number[]) => der(OID, Uint8Array.from(bytes));
const ECDSA_SHA256 = der(SEQUENCE, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2));

/** Key and certificate of a server of that name, in PEM. */
export function selfSigned(host: string): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, oid(0x55, 4, 3), text(UTF8, host))));
  const extension = (id: number, value: Buffer) => der(SEQUENCE, oid(0x55, 0x1d, id), der(OCTETS, value));
  const isAuthority = extension(0x13, der(SEQUENCE, der(1, Uint8Array.of(255))));
  const names = extension(0x11, der(SEQUENCE, text(0x82, host)));
  const signed = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Uint8Array.of(2))), // version 3
    der(INTEGER, Uint8Array.of(1)),
    ECDSA_SHA256,
    name,
    der(SEQUENCE, text(UTC, "200101000000Z"), text(TIME, "20991231235959Z")),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(SEQUENCE, isAuthority, names)),
  );
  const signature = sign("sha256", signed, privateKey);
  const bytes = der(SEQUENCE, signed, ECDSA_SHA256, der(BITS, Uint8Array.of(0), signature));
  const lines = bytes.toString("base64").match(/.{1,64}/g)!;
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
  };
}
