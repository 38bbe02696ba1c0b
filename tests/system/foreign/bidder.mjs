// A bidder that shares no code with the box: WebTorrent's bittorrent-protocol, Node's own cryptography.
// Usage: node bidder.mjs HOST PORT INFO_HASH PRICE CHANNEL; prints what it hears, a JSON line each.
import { ECDH, createECDH, createHash, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import net from 'node:net'
import bencode from 'bencode'
import Wire from 'bittorrent-protocol'

const [host, port, infoHash, price, channel] = process.argv.slice(2)
const DOMAIN = Buffer.from('seedbox/wire/1\0')
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const pair = createECDH('secp256k1')
pair.generateKeys()
const publicKey = pair.getPublicKey(null, 'compressed')
const nonce = randomBytes(32)

const base64 = (bytes) => Buffer.from(bytes).toString('base64url')
function jwk (uncompressed, secret) {
  const part = { kty: 'EC', crv: 'secp256k1', x: base64(uncompressed.subarray(1, 33)), y: base64(uncompressed.subarray(33)) }
  return { key: secret ? { ...part, d: base64(secret) } : part, format: 'jwk' }
}
const signingKey = createPrivateKey(jwk(pair.getPublicKey(), pair.getPrivateKey()))

function signed (message) {
  const raw = sign('sha256', Buffer.concat([DOMAIN, message]), { key: signingKey, dsaEncoding: 'ieee-p1363' })
  let s = BigInt('0x' + raw.subarray(32).toString('hex'))
  if (s > ORDER / 2n) s = ORDER - s
  return Buffer.concat([raw.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')])
}

function sound (key, message, signature) {
  const whole = ECDH.convertKey(key, 'secp256k1', undefined, undefined, 'uncompressed')
  const known = createPublicKey(jwk(whole))
  return verify('sha256', Buffer.concat([DOMAIN, message]), { key: known, dsaEncoding: 'ieee-p1363' }, signature)
}

const plain = (value) => {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  return typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) : value
}
const say = (value) => console.log(JSON.stringify(plain(value)))

class Auction {
  constructor (wire) {
    this.wire = wire
    this.count = 0
    this.heard = 0
  }

  onExtendedHandshake (told) {
    this.theirs = Buffer.from(told.sb_id)
    const parts = [Buffer.from(infoHash, 'hex'), publicKey, nonce, this.theirs, Buffer.from(told.sb_nonce)]
    this.session = createHash('sha256').update(Buffer.concat(parts)).digest()
    this.send({ t: 'auth' })
  }

  send (fields) {
    const value = { ...fields, n: this.count++ }
    const sig = signed(Buffer.concat([this.session, publicKey, bencode.encode(value)]))
    this.wire.extended('sb_auction', { ...value, sig })
  }

  onMessage (payload) {
    const { sig, ...value } = bencode.decode(payload)
    const message = Buffer.concat([this.session, this.theirs, bencode.encode(value)])
    const name = Buffer.from(value.t).toString()
    say({ ...value, t: name, sound: sound(this.theirs, message, Buffer.from(sig)) && value.n === this.heard++ })
    if (name === 'ask') {
      const bid = { t: 'bid', round: value.round, max_price: Number(price), bytes: 1000000, port: 6881 }
      this.send({ ...bid, channel: Buffer.from(channel, 'hex') })
    }
    if (name === 'result') socket.end()
  }
}
Auction.prototype.name = 'sb_auction'

const socket = net.connect(Number(port), host, () => {
  const wire = new Wire()
  socket.pipe(wire).pipe(socket)
  wire.on('error', (error) => { say({ t: 'failed', text: error.message }); socket.destroy() })
  wire.extendedHandshake = { sb_id: publicKey, sb_nonce: nonce, v: 'Foreign bidder' }
  wire.use(Auction)
  wire.handshake(infoHash, randomBytes(20).toString('hex'))
})
socket.on('error', (error) => say({ t: 'failed', text: error.message }))
