// Written by scripts/api.mjs from docs/openapi.json. Do not edit: run npm run api.

import { type Caller, type CallOptions, enc, type Result, search } from '../shared/http'

export interface ActInputBody {
  action: "open" | "pause" | "resume" | "force_sold_out" | "close"
  reason: string
}

export interface AppSecret {
  createdAt: string
  /** of a signing secret, the keyid of signatures */
  id: string
  /** the new secret, shown this one time */
  secret?: string
  /** end of the overlap after a rotation */
  until?: string
  use: "oauth2" | "signing"
}

export interface AtStake {
  held: Sum
  taken: Sum
  unsure: Sum
}

export interface AttemptAnswer {
  /** minor units of currency */
  amount?: number
  attempt?: string
  currency?: string
  /** whether this answer can never change */
  final: boolean
  items?: Line[] | null
  order?: string
  payBefore?: string
  /** why it was lost: the name of a problem type */
  reason?: string
  state: "won" | "lost" | "unknown"
}

export type AttemptRequest = {
  items: {
    quantity: number
    sku: string
  }[]
} | {
  quantity: number
  sku: string
}

export interface AuditRow {
  act: string
  after: unknown
  at: string
  before: unknown
  id?: string
  object: string
  seq: string
  who: string
  why: string
}

export interface BackOfficeSession {
  address: string
  agent: string
  createdAt: string
  /** at the latest */
  endsAt: string
  id: string
  /** pwd, otp */
  methods: string[]
  /** about when it was used last */
  seenAt: string
  user: string
}

export interface BackOfficeUser {
  changedAt: string
  createdAt: string
  disabled: boolean
  display: string
  email: string
  name: string
  /** the one that was generated, shown this one time */
  password?: string
  role: "viewer" | "support" | "operator" | "admin"
  /** a second factor is asked for */
  totp: boolean
}

export interface BalanceEntry {
  account: "user" | "held"
  /** minor units, signed */
  amount: number
  at: string
  /** of the account, after it */
  balance: number
  currency: string
  /** cursor of the page after this entry */
  id: string
  kind: "top-up" | "withdrawal" | "payment" | "refund" | "hold" | "take" | "give-back"
  reason?: string
  /** what it is for */
  ref?: string
  transaction: string
}

export interface BalanceMove {
  /** minor units, signed */
  amount: number
  at: string
  currency: string
  kind: "top-up" | "withdrawal"
  reason: string
  transaction: string
  user: string
  who: string
}

export interface BeginBranch {
  /** run beside the branch before it instead of after it */
  beside?: boolean
  name: string
  participant: string
  /** what is asked, in the participant's own words */
  payload: unknown
  /** what is at stake, where the participant cannot tell: an amount in minor units, units per SKU */
  stake?: Stake
}

export interface BeginTransaction {
  /** tried and confirmed in this order, cancelled in reverse */
  branches: BeginBranch[] | null
  /** your key of the transaction; the same id with the same body is the same transaction. One is made if it is missing */
  id?: string
  /** bound of the trying; 0 means the server's */
  timeoutMs?: number
}

export interface BreakerAct {
  /** trip opens it until it is reset; reset closes it, and it counts anew */
  action: "trip" | "reset"
  reason: string
}

export interface BreakerOutputBody {
  breaker: string
  state: "closed" | "open" | "half-open"
}

export interface BreakerView {
  failures: number
  forced: boolean
  open: string
  slow: string
  state: string
  successes: number
  window: string
}

export interface CaseAction {
  action: "refund" | "accept" | "retry"
  effect: string
}

export interface CaseClosing {
  action: string
  at: string
  reason: string
  who: string
}

export interface CaseEvidence {
  /** minor units that the payment asks for */
  asked: number
  captured: number
  late: boolean
  order: string
  orderAmount: number
  /** empty when the order cannot be read now */
  orderState: string
  paymentState: string
  provider: string
  /** its answer to a question asked just now */
  providerSays: string
  refunded: number
  /** what the order says was refunded */
  refundedAmount: number
}

export interface CaseResolution {
  action: "refund" | "accept" | "retry"
  reason: string
}

export interface ClientChangeBody {
  disabled?: boolean
  idTokenAlg?: "RS256" | "ES256" | "EdDSA"
  name?: string
  postLogoutRedirectUris?: string[]
  reason?: string
  redirectUris?: string[]
  roles?: string[]
}

export interface ClientCreateBody {
  id: string
  /** RS256 if it is left out */
  idTokenAlg?: "RS256" | "ES256" | "EdDSA"
  name: string
  postLogoutRedirectUris?: string[] | null
  public?: boolean
  redirectUris: string[] | null
  roles?: string[] | null
}

export interface ComparisonBody {
  /** whether everything was compared and listed: false when there are gaps, and then no differences do not mean that all records agree */
  complete: boolean
  /** what was left out, by kind */
  gaps: Gap[]
  items: Difference[]
  /** cursor of the next page; empty at the end */
  next: string
  /** messages that were on their way to the orders, parked ones included; while there are any, orders may be behind their claims */
  waiting: number
}

export interface CreateAppRequest {
  apis: string[]
  description?: string
  name: string
  perDay?: number
  perMinute?: number
  /** cannot be changed afterwards */
  sandbox?: boolean
}

export interface CreateWebhookRequest {
  /** 0 means 4 */
  concurrency?: number
  description?: string
  events: string[]
  /** 0 means 50 */
  rate?: number
  url: string
}

export interface DeadLetter {
  attempts: number
  failedAt: string
  group: string
  headers: Record<string, string>
  id: string
  key: string
  messageId: string
  note?: string
  offset: string
  partition: number
  /** JSON if it is JSON, else the text, else base64 */
  payload: unknown
  reason: string
  replays: number
  state: "dead" | "replayed" | "discarded"
  topic: string
  type: string
  user: string
}

export interface Definition {
  admission?: string
  endsAt: string
  graceSeconds?: number
  id?: string
  items: ItemDefinition[] | null
  line?: LineRules
  paymentWindowSeconds?: number
  startsAt: string
  title: string
  waitingList?: boolean
}

export interface Difference {
  at: string
  expected: string
  /** what was expected, what was found, and what to do */
  explanation: string
  found: string
  kind: string
  object: string
  repaired: boolean
}

export interface Document {
  /** RFC 3339 in UTC with milliseconds */
  closesAt: string
  commitment: string
  /** ascending */
  entrants: string[]
  listHash: string
  /** when the list was published: before the public value was known */
  listedAt: string
  /** indexes of entrants, in the order drawn */
  order: number[]
  /** where the public value will come from; empty if the draw needs none */
  publicSource: string
  publicValue: string
  sale: string
  secret: string
  seed: string
  sku: string
  state: "collecting" | "closed" | "drawn"
  version: number
}

export interface Documents {
  draws: Document[]
}

export interface DrainedOutputBody {
  drained: boolean
  inFlight: Record<string, number>
  /** messages that some reader of the bus has not got yet, by outbox */
  outboxes?: OutboxLag[] | null
}

export interface EditLetter {
  /** the new payload */
  payload: unknown
  reason: string
  /** instead of the message's type */
  type?: string
  /** instead of the message's header version */
  version?: string
}

export interface EditedLetter {
  letter: DeadLetter
  /** the id of the new message */
  messageId: string
}

export interface EndedOutputBody {
  /** sessions that are over now */
  ended: number
}

export interface ExplainCallRequest {
  /** the client's address; 127.0.0.1 when left out */
  from?: string
  method: string
  path: string
  /** a bearer token or a pass; nobody's call when left out */
  token?: string
}

export interface Explanation {
  access: "anyone" | "user" | "app" | "operator"
  app?: string
  /** the pattern that takes the call */
  route: string
  stages: Opinion[]
  /** the verdict in words */
  summary: string
  user?: string
  verdict: "pass" | "refuse"
}

export interface Field {
  detail: string
  pointer: string
}

export interface Gap {
  /** how many may differ, or do, and are not listed */
  count: number
  kind: string
  /** why, and what to do */
  why: string
}

export interface GiveDrawValueRequest {
  reason: string
  /** as its source publishes it, such as the randomness of a drand round in hex */
  value: string
}

export interface ItemDefinition {
  currency: string
  limitPerUser: number
  price: number
  sku: string
  stock: number
  title: string
}

export interface ItemView {
  availability: "plenty" | "few" | "held" | "none"
  currency: string
  limitPerUser: number
  price: number
  sku: string
  title: string
}

export interface KeysOutputBody {
  /** ids of the new ones */
  keys: string[]
}

export interface LedgerEntry {
  /** minor units of currency */
  amount: number
  at: string
  currency: string
  payment: string
  provider: string
  /** the provider's transaction of a capture, our id of a refund */
  ref: string
  seq: string
  type: "capture" | "refund"
}

export interface LetterFilter {
  /** failed at this time or later */
  from?: string
  group?: string
  key?: string
  /** a part of the reason, as it is written */
  reason?: string
  /** failed before this time */
  to?: string
  topic?: string
  type?: string
  user?: string
}

export interface LimitInputBody {
  /** minor units the balance may go below zero */
  limit: number
  reason: string
}

export interface Line {
  price: number
  quantity: number
  sku: string
}

export interface LineEntry {
  /** the place that the draw gave, from 1 */
  drawn?: number
  /** SHA-256 of salt and user id: how the list of the draw has you */
  entrant?: string
  entry: string
  joinedAt: string
  /** bearer for one attempt at this SKU */
  pass?: string
  passExpiresAt?: string
  /** look again after this; who is silent much longer is passed over and keeps his place. Left out when the entry has ended */
  pollAfterSeconds?: number
  /** 1 is the next; only while waiting. Who is silent is not counted */
  position?: number
  reach?: "in-reach" | "unlikely" | "gone"
  sale: string
  /** hex */
  salt?: string
  sku: string
  state: "pot" | "waiting" | "admitted" | "used" | "expired" | "left"
  /** the wait is right within this, nine times of ten */
  waitErrorSeconds?: number
  /** estimated wait; left out where nothing can be said */
  waitSeconds?: number
}

export interface LineProof {
  challenge: string
  nonce: string
}

export interface LineRequest {
  /** where the sale asks for work: see problem proof-required */
  proof?: LineProof
  /** may be left out where the sale has one */
  sku?: string
}

export interface LineRules {
  awaySeconds?: number
  closesAt?: string
  passSeconds?: number
  proofBits?: number
  publicSource?: string
  ratePerSecond?: number
  reach?: number
}

export interface ManyLetters {
  /** must be true when there is no filter */
  all?: boolean
  /** next of the batch before */
  cursor?: string
  filter?: LetterFilter
  /** the most letters of this batch */
  limit?: number
  /** replays per second, at most and by default what the server allows */
  rate?: number
  reason?: string
}

export interface ManySettled {
  /** the last letter dealt with */
  at: string
  next: string
  /** how many were replayed or discarded */
  settled: number
  /** which stayed as they are */
  skipped: SkippedLetter[]
  /** why the batch ended before its time */
  stopped?: string
  /** the last letter that the whole run will deal with */
  upto: string
}

export interface MeOutputBody {
  /** for the header X-Csrf-Token; empty for a caller with a token */
  csrf?: string
  role: string
  session?: BackOfficeSession
  /** a second factor is asked for when you log in */
  totp?: boolean
  user: string
}

export interface MoveInputBody {
  /** minor units; above 0 a top-up, below a withdrawal */
  amount: number
  currency: string
  reason: string
}

export interface OIDCClient {
  createdAt: string
  disabled: boolean
  id: string
  idTokenAlg: "RS256" | "ES256" | "EdDSA"
  name: string
  postLogoutRedirectUris: string[]
  /** has no secret */
  public: boolean
  redirectUris: string[]
  /** who may log in to it; none means all */
  roles: string[]
  /** the new secret, shown this one time */
  secret?: string
}

export interface OfferInputBody {
  /** units to add, or to withdraw if negative */
  delta: number
  reason: string
  sku: string
}

export interface OperatorBalance {
  items: Standing[]
  user: string
}

export interface OperatorEntry {
  account: "user" | "held"
  /** minor units, signed */
  amount: number
  at: string
  /** of the account, after it */
  balance: number
  currency: string
  /** cursor of the page after this entry */
  id: string
  kind: "top-up" | "withdrawal" | "payment" | "refund" | "hold" | "take" | "give-back"
  reason?: string
  /** what it is for */
  ref?: string
  transaction: string
  who?: string
}

export interface OperatorLine {
  admission: "line" | "draw"
  admitted: number
  away: number
  called: number
  draw?: "collecting" | "closed" | "drawn"
  expired: number
  left: number
  /** whether it takes new entries */
  open: boolean
  /** how many left the head lately */
  pacePerSecond: number
  /** how many may be called a second now */
  ratePerSecond: number
  sale: string
  sku: string
  total: number
  used: number
  /** of who would join now */
  waitSeconds?: number
  waiting: number
}

export interface OperatorOrder {
  /** minor units of currency */
  amount: number
  createdAt: string
  currency: string
  /** opaque object of the shop */
  delivery?: unknown
  events: OrderEvent[]
  id: string
  items: Line[]
  key: string
  payBefore: string
  /** minor units of currency */
  refundedAmount: number
  sale: string
  shard: number
  state: "accepted" | "pending_payment" | "paid" | "fulfilled" | "cancelled" | "expired" | "refunded"
  table: number
  user: string
  version: number
}

export interface Opinion {
  detail?: string
  /** the type of the answer of a stage that refuses */
  problem?: string
  stage: string
  status?: number
  verdict: "pass" | "refuse" | "off" | "nothing" | "not reached"
}

export interface Order {
  /** minor units of currency */
  amount: number
  createdAt: string
  currency: string
  /** opaque object of the shop */
  delivery?: unknown
  events: OrderEvent[]
  id: string
  items: Line[]
  payBefore: string
  /** minor units of currency */
  refundedAmount: number
  sale: string
  state: "accepted" | "pending_payment" | "paid" | "fulfilled" | "cancelled" | "expired" | "refunded"
  version: number
}

export interface OrderAction {
  action: "cancel" | "fulfil" | "refund"
  most?: number
}

export interface OrderEvent {
  at: string
  from: string
  n: number
  to: string
  why: string
}

export interface OrderPage {
  items: OperatorOrder[]
  /** numbers of the order databases that did not answer: their orders are not on this page */
  missing?: number[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface OrderTimeline {
  /** what an operator may do to it now */
  actions: OrderAction[]
  /** oldest first */
  entries: TimelineEntry[]
  order: OperatorOrder
  payments: Payment[]
}

export interface OutboxLag {
  /** age of the oldest of them, 0 when there is none */
  oldestSeconds: number
  source: string
  topic: string
  /** messages; of the stock's journal, entries */
  waiting: number
}

export interface OwnFirstCodeBody {
  /** the six digits that the authenticator app shows for the secret */
  code: string
}

export interface OwnPasswordBody {
  /** at least 12 bytes */
  new: string
  old: string
}

export interface OwnSecondFactorBody {
  /** yours: a session alone is not enough */
  password: string
}

export interface PageAuditRow {
  items: AuditRow[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageBackOfficeSession {
  items: BackOfficeSession[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageBackOfficeUser {
  items: BackOfficeUser[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageBalanceEntry {
  items: BalanceEntry[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageDeadLetter {
  items: DeadLetter[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageLedgerEntry {
  items: LedgerEntry[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageOIDCClient {
  items: OIDCClient[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageOperatorEntry {
  items: OperatorEntry[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageOperatorLine {
  items: OperatorLine[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageOrder {
  items: Order[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PagePartnerApp {
  items: PartnerApp[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PagePaymentCase {
  items: PaymentCase[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageRehearsal {
  items: Rehearsal[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageSaleDetail {
  items: SaleDetail[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageStanding {
  items: Standing[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageStatementDifference {
  items: StatementDifference[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageStockLevel {
  items: StockLevel[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageTransaction {
  items: Transaction[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageView {
  items: View[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageWebhookDelivery {
  items: WebhookDelivery[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface PageWebhookEndpoint {
  items: WebhookEndpoint[]
  /** cursor of the next page; empty at the end */
  next: string
}

export interface ParticipantCall {
  branch: string
  /** if given, that of the path */
  op?: "try" | "confirm" | "cancel"
  payload: unknown
  transaction: string
}

export interface ParticipantOutputBody {
  state: "done"
}

export interface PartnerApp {
  /** what it may call */
  apis: string[]
  changedAt: string
  createdAt: string
  description: string
  enabled: boolean
  /** the OAuth2 client_id; the app is the user app:<id> */
  id: string
  name: string
  /** most calls a day; 0 means as the rule for all apps says */
  perDay: number
  /** most calls a minute; 0 means as the rule for all apps says */
  perMinute: number
  /** reaches sandbox sales and the sandbox payment only */
  sandbox: boolean
  /** those that have not ended, newest first */
  secrets: AppSecret[]
  version: number
  /** why it is disabled */
  why?: string
}

export interface PassOutputBody {
  expiresAt: string
  pass: string
}

export interface Patch {
  endsAt?: string
  graceSeconds?: number
  paymentWindowSeconds?: number
  startsAt?: string
  title?: string
}

export interface PatchAppRequest {
  apis?: string[]
  description?: string
  name?: string
  perDay?: number
  perMinute?: number
  reason?: string
}

export interface PatchWebhookRequest {
  concurrency?: number
  description?: string
  events?: string[]
  rate?: number
  reason?: string
  url?: string
}

export interface Payment {
  /** minor units of currency */
  amount: number
  currency: string
  id: string
  order: string
  provider: string
  /** why it failed, as far as the provider tells */
  reason?: string
  state: "pending" | "captured" | "failed" | "refunding" | "refunded" | "mismatch"
}

export interface PaymentCase {
  /** what may be done now, with its effect */
  actions: CaseAction[]
  /** the sum at stake, in minor units of currency */
  amount: number
  at: string
  closing?: CaseClosing
  currency: string
  detail: string
  id: string
  kind: "mismatch" | "reference-reused" | "second-capture" | "refund-refused" | "refund-waiting" | "refund-books" | "late" | "silent"
  /** what is known now; only when one case is looked at */
  known?: CaseEvidence
  payment: string
  /** the provider's transaction, or the refund that the case is about */
  ref: string
  state: "open" | "closed"
}

export interface PaymentRequest {
  /** sandbox only: milliseconds until the provider acts */
  afterMs?: number
  method: string
  /** sandbox only; capture when left out */
  outcome?: "capture" | "fail" | "lose" | "duplicate" | "reorder" | "wrong_amount"
}

export interface PingOutputBody {
  error?: string
  /** 0 means no answer */
  status: number
  taken: boolean
  tookMs: number
}

export interface PolicyView {
  breakers: Record<string, BreakerView>
  file: string
  hash: string
  lastError?: string
  lastErrorAt?: string
  limits: Rule[] | null
  loadedAt: string
  routes: RouteView[] | null
  shedding?: SheddingView
  version: number
}

/** RFC 9457. The same type always has the same status. Finals noes of an attempt carry no requestId, so that a replay is the same bytes. */
export interface Problem {
  detail: string
  errors?: {
    detail?: string
    /** JSON pointer into the body */
    pointer?: string
  }[]
  /** on 429 and 503: false, or null when nobody knows yet */
  executed?: unknown
  /** path of what the problem is about */
  instance: string
  requestId?: string
  status: number
  title: string
  /** the problem type; the server shows its page */
  type: string
  [more: string]: unknown
}

export interface Reason {
  /** why, for the audit trail and the history of what is acted on; without one they say who did what, and no more */
  reason?: string
}

export interface RefundRequest {
  /** minor units; left out: all that is left */
  amount?: number
  /** why, for the history of the order and the audit trail; without one they say that it was refunded, and by whom */
  reason?: string
  /** whether the units go back on sale */
  returnStock?: boolean
}

export interface Rehearsal {
  /** answers to attempts, by kind */
  answers: Record<string, number>
  /** buyers that will come */
  arrivals: number
  arrived: number
  id: string
  latencyP50Ms: number
  latencyP99Ms: number
  note?: string
  paid: number
  plan: RehearsalPlan
  reasons: RehearsalReason[]
  sale: string
  /** the copy's id */
  shadow: string
  startedAt: string
  state: "preparing" | "storming" | "settling" | "checking" | "cleaning" | "done" | "failed"
  /** only at the end */
  verdict?: "go" | "no-go"
}

export interface RehearsalPlan {
  /** the slowest answer of a hundred that is still a go, in milliseconds; 1000 when left out */
  maxP99Ms?: number
  /** share of winners who pay, at the sandbox; 0.8 when left out */
  pay?: number
  /** buyers that arrive in a second */
  rate: number
  reason: string
  /** how long they arrive */
  seconds: number
  /** decides everything that is drawn; one is taken when left out */
  seed?: number
  /** rehearse though a sale is open: the storm takes capacity from its buyers */
  whileOpen?: boolean
}

export interface RehearsalReason {
  detail: string
  good: boolean
  what: "invariants" | "answers" | "capacity" | "latency" | "arrivals" | "payments" | "storm"
}

export interface ReplayWebhookRequest {
  /** also those that were taken */
  delivered?: boolean
  reason?: string
  /** of events that came to be queued then or later */
  since: string
}

export interface ReplayedOutputBody {
  queued: number
}

export interface ResolveTransactionRequest {
  /** retry goes on where it stood; confirm and cancel force the direction */
  action: "retry" | "confirm" | "cancel"
  reason: string
  /** branches that were put right by hand: they are not called any more */
  settled?: string[] | null
}

export interface RotateAppRequest {
  /** how long the secret before lives on; a day when left out */
  overlapSeconds?: number
  reason?: string
  use: "oauth2" | "signing"
}

export interface RotateWebhookRequest {
  /** how long the old secret still signs; a day when left out */
  overlapSeconds?: number
  reason?: string
}

export interface RouteView {
  access: string
  allow: string[] | null
  apis: string[] | null
  breaker?: string
  class: string
  deny: string[] | null
  limits: string[] | null
  maxBody?: number
  off: string[] | null
  route: string
}

export interface Rule {
  algorithm: string
  burst?: number
  by?: string[] | null
  except?: string[] | null
  name: string
  overrides?: Record<string, string>
  rate: string
  routes?: string[] | null
}

export interface SaleDetail {
  admission: "open" | "line" | "draw"
  endsAt: string
  forcedSoldOut: boolean
  graceSeconds: number
  id: string
  items: ItemView[] | null
  line?: LineRules
  paused: boolean
  paymentWindowSeconds: number
  serverTime: string
  startsAt: string
  state: "scheduled" | "open" | "paused" | "sold_out" | "closed"
  stock: StockLevel[]
  title: string
  version: number
  /** whether buyers may wait for units that come back */
  waitingList: boolean
}

export interface SalePreview {
  /** a JSON pointer into the definition, and what is wrong there */
  findings: Field[]
  /** what would be made; only of a valid definition */
  sale?: SaleDetail
  valid: boolean
}

export interface SecondFactor {
  /** each stands in for the device, once */
  recoveryCodes: string[]
  /** base32 */
  secret: string
  /** for the QR code of an authenticator app */
  uri: string
}

export interface SheddingView {
  capacity: string
  floor: number
  inFlight: number
  limit: number
  passed: Record<string, number>
  patience: Record<string, string>
  queued: number
  refused: Record<string, number>
  running: number
  target: string
  waiting: number
}

export interface SkippedLetter {
  id: string
  why: string
}

export interface Stake {
  amount?: number
  currency?: string
  units?: Unit[] | null
}

export interface Standing {
  /** balance + creditLimit */
  available: number
  /** minor units; never below -creditLimit; what is held is not in it */
  balance: number
  /** minor units the balance may go below zero */
  creditLimit: number
  currency: string
  /** minor units that transactions on their way have reserved */
  held: number
}

export interface StatementDifference {
  do: string
  here: string
  kind: "missing-here" | "missing-there" | "other-amount" | "other-state" | "duplicate"
  payment?: string
  ref: string
  there: string
  type: "capture" | "refund"
}

export interface StatementLine {
  /** minor units of currency */
  amount: number
  at?: string
  currency: string
  payment?: string
  /** the provider's transaction */
  ref: string
  refund?: string
  state?: string
  type: "capture" | "refund"
}

export interface StatementLines {
  /** learn from lines that were not heard of: bank lines are kept, other providers are asked about their payments */
  apply?: boolean
  lines: StatementLine[]
  provider: string
}

export interface StockLevel {
  available: number
  held: number
  offered: number
  sale: string
  sku: string
  sold: number
  version: number
  withdrawn: number
}

export interface Sum {
  money: Record<string, number>
  units: Record<string, number>
}

export interface TimelineEntry {
  at: string
  data: unknown
  kind: "event" | "payment" | "refund" | "dead-letter"
  what: string
}

export interface TokenAnswer {
  access_token: string
  /** seconds */
  expires_in: number
  scope: string
  token_type: "Bearer"
}

export interface TokenForm {
  /** unless sent by HTTP Basic */
  client_id?: string
  /** unless sent by HTTP Basic */
  client_secret?: string
  grant_type: "client_credentials"
  /** names of APIs, separated by spaces; all that the app was given when left out */
  scope?: string
}

export interface TokenProblem {
  error: "invalid_request" | "invalid_client" | "invalid_scope" | "unauthorized_client" | "unsupported_grant_type"
  error_description?: string
}

export interface Transaction {
  atStake: AtStake
  beganAt: string
  branches: TransactionBranch[]
  /** end of the trying */
  deadline: string
  endedAt?: string
  /** the state it came from, when it needs a human */
  from?: string
  id: string
  kind: "tcc" | "saga"
  /** why it cancels or needs a human */
  reason?: string
  recovery: "backward" | "forward"
  state: "trying" | "confirming" | "confirmed" | "cancelling" | "cancelled" | "needs_human"
  timeline?: TransactionStep[]
  who?: string
}

export interface TransactionBranch {
  error?: string
  /** what the branch has of its stake, as far as is known */
  holding: string
  name: string
  participant: string
  payload?: unknown
  /** branches of a stage run side by side */
  stage: number
  stake: Stake
  state: "waiting" | "trying" | "refused" | "held" | "confirming" | "taken" | "cancelling" | "returned"
  /** calls of the present phase */
  tries: number
}

export interface TransactionStep {
  at: string
  branch?: string
  detail?: string
  n: number
  what: string
  who?: string
}

export interface Unit {
  quantity: number
  sku: string
}

export interface Unknown {
  /** the key to ask with */
  attempt?: string
  state?: "unknown"
}

export interface UserChangeBody {
  disabled?: boolean
  display?: string
  email?: string
  reason?: string
  role?: "viewer" | "support" | "operator" | "admin"
}

export interface UserCreateBody {
  display?: string
  email?: string
  name: string
  /** at least 12 bytes; without one, one is generated and answered */
  password?: string
  role: "viewer" | "support" | "operator" | "admin"
}

export interface UserPasswordBody {
  /** at least 12 bytes; without one, one is generated and answered */
  password?: string
}

export interface View {
  admission: "open" | "line" | "draw"
  endsAt: string
  id: string
  items: ItemView[] | null
  line?: LineRules
  serverTime: string
  startsAt: string
  state: "scheduled" | "open" | "paused" | "sold_out" | "closed"
  title: string
  /** whether buyers may wait for units that come back */
  waitingList: boolean
}

export interface WaitingEntry {
  /** its number in the published order of decisions: who has the smaller one comes first */
  entry: string
  joinedAt: string
  /** the order that was made when the turn came, with a payment window of its own */
  order?: string
  /** 1 is the next; only while waiting */
  position?: number
  quantity: number
  /** why it ended: sale-closed, expired (the order was not paid), limit-reached, left */
  reason?: string
  sale: string
  sku: string
  state: "waiting" | "offered" | "expired" | "left" | "skipped"
}

export interface WaitingRequest {
  quantity: number
  sku: string
}

export interface WebhookDelivery {
  at: string
  endpoint: string
  error?: string
  /** the webhook-id */
  event: string
  id: string
  nextAt?: string
  replays: number
  state: "waiting" | "due" | "delivered" | "given-up"
  /** last HTTP status; 0 means no answer */
  status: number
  triedAt?: string
  /** failed ones since it was queued or replayed */
  tries: number
  type: string
  user: string
}

export interface WebhookEndpoint {
  changedAt: string
  /** most deliveries at a time */
  concurrency: number
  createdAt: string
  description: string
  enabled: boolean
  /** types wanted, such as order.paid, payment.* or * */
  events: string[]
  /** first failure since the last success */
  failingSince?: string
  health: "working" | "failing" | "disabled"
  id: string
  pausedUntil?: string
  /** most deliveries a second */
  rate: number
  /** the new secret, shown this one time */
  secret?: string
  /** those that sign now, newest first */
  secrets: WebhookSecret[]
  url: string
  version: number
  /** why it is disabled */
  why?: string
}

export interface WebhookSecret {
  createdAt: string
  /** end of the overlap after a rotation */
  until?: string
}

export interface Why {
  arrivedAt: string
  key: string
  place?: number
  rule: string
  stages: WhyVerdict[] | null
}

export interface WhyVerdict {
  stage: string
  verdict: string
}

export interface Won {
  /** minor units */
  amount?: number
  attempt?: string
  currency?: string
  items?: {
    /** minor units */
    price?: number
    quantity?: number
    sku?: string
  }[]
  order?: string
  payBefore?: string
  state?: "won"
}

/** List the third-party apps */
export const listApps = (c: Caller, o?: CallOptions): Promise<Result<PagePartnerApp>> =>
  c.call('GET', '/admin/v1/apps', {}, o)

/** Add an app; the answer shows its secrets this one time */
export const createApp = (c: Caller, p: { body: CreateAppRequest }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('POST', '/admin/v1/apps', { body: p.body }, o)

/** Remove an app for good; its orders stay */
export const deleteApp = (c: Caller, p: { app: string; reason?: string | undefined }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('DELETE', `/admin/v1/apps/${enc(p.app)}`, { query: { reason: p.reason } }, o)

/** Look at an app */
export const getApp = (c: Caller, p: { app: string }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('GET', `/admin/v1/apps/${enc(p.app)}`, {}, o)

/** Change an app; fields left out stay */
export const patchApp = (c: Caller, p: { app: string; body: PatchAppRequest }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('PATCH', `/admin/v1/apps/${enc(p.app)}`, { body: p.body }, o)

/** Refuse an app, its signatures and its tokens, everywhere within 5 seconds */
export const disableApp = (c: Caller, p: { app: string; body: Reason }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('POST', `/admin/v1/apps/${enc(p.app)}/disable`, { body: p.body }, o)

/** Let an app call again */
export const enableApp = (c: Caller, p: { app: string; body: Reason }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('POST', `/admin/v1/apps/${enc(p.app)}/enable`, { body: p.body }, o)

/** Give an app a new secret, shown this one time; the one before lives on beside it for a while */
export const rotateApp = (c: Caller, p: { app: string; body: RotateAppRequest }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('POST', `/admin/v1/apps/${enc(p.app)}/rotate`, { body: p.body }, o)

/** End a secret now, and the tokens issued for it */
export const endAppSecret = (c: Caller, p: { app: string; secret: string; reason?: string | undefined }, o?: CallOptions): Promise<Result<PartnerApp>> =>
  c.call('DELETE', `/admin/v1/apps/${enc(p.app)}/secrets/${enc(p.secret)}`, { query: { reason: p.reason } }, o)

/** The trail of operators' acts, oldest first or newest first; a page may be short, or empty, and yet have a next */
export const listAudit = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; who?: string | undefined; act?: string | undefined; object?: string | undefined; from?: string | undefined; to?: string | undefined; newest?: boolean | undefined } = {}, o?: CallOptions): Promise<Result<PageAuditRow>> =>
  c.call('GET', '/admin/v1/audit', { query: { limit: p.limit, cursor: p.cursor, who: p.who, act: p.act, object: p.object, from: p.from, to: p.to, newest: p.newest } }, o)

/** What a user has, by currency */
export const getUserBalance = (c: Caller, p: { user: string }, o?: CallOptions): Promise<Result<OperatorBalance>> =>
  c.call('GET', `/admin/v1/balances/${enc(p.user)}`, {}, o)

/** What changed a user's balance, newest first */
export const listUserBalanceEntries = (c: Caller, p: { user: string; limit?: number | undefined; cursor?: string | undefined }, o?: CallOptions): Promise<Result<PageOperatorEntry>> =>
  c.call('GET', `/admin/v1/balances/${enc(p.user)}/entries`, { query: { limit: p.limit, cursor: p.cursor } }, o)

/** Top a balance up, or pay it out */
export const postBalanceEntry = (c: Caller, p: { user: string; key: string; body: MoveInputBody }, o?: CallOptions): Promise<Result<BalanceMove>> =>
  c.call('POST', `/admin/v1/balances/${enc(p.user)}/entries`, { key: p.key, body: p.body }, o)

/** Say how far a balance may go below zero */
export const putCreditLimit = (c: Caller, p: { user: string; currency: string; body: LimitInputBody }, o?: CallOptions): Promise<Result<Standing>> =>
  c.call('PUT', `/admin/v1/balances/${enc(p.user)}/limits/${enc(p.currency)}`, { body: p.body }, o)

/** List payments that wait for somebody to decide, oldest first */
export const listCases = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; all?: boolean | undefined; kind?: "mismatch" | "reference-reused" | "second-capture" | "refund-refused" | "refund-waiting" | "refund-books" | "late" | "silent" | undefined } = {}, o?: CallOptions): Promise<Result<PagePaymentCase>> =>
  c.call('GET', '/admin/v1/cases', { query: { limit: p.limit, cursor: p.cursor, all: p.all, kind: p.kind } }, o)

/** Look at a case, with what provider and order say now */
export const getCase = (c: Caller, p: { case: string }, o?: CallOptions): Promise<Result<PaymentCase>> =>
  c.call('GET', `/admin/v1/cases/${enc(p.case)}`, {}, o)

/** Do what was decided about a case */
export const resolveCase = (c: Caller, p: { case: string; body: CaseResolution }, o?: CallOptions): Promise<Result<PaymentCase>> =>
  c.call('POST', `/admin/v1/cases/${enc(p.case)}/resolve`, { body: p.body }, o)

/** List dead letters, oldest first */
export const listDeadLetters = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; group?: string | undefined; topic?: string | undefined; user?: string | undefined; key?: string | undefined; type?: string | undefined; reason?: string | undefined; from?: string | undefined; to?: string | undefined; all?: boolean | undefined } = {}, o?: CallOptions): Promise<Result<PageDeadLetter>> =>
  c.call('GET', '/admin/v1/dead-letters', { query: { limit: p.limit, cursor: p.cursor, group: p.group, topic: p.topic, user: p.user, key: p.key, type: p.type, reason: p.reason, from: p.from, to: p.to, all: p.all } }, o)

/** Give many dead letters up, a batch at a time */
export const discardDeadLetters = (c: Caller, p: { body: ManyLetters }, o?: CallOptions): Promise<Result<ManySettled>> =>
  c.call('POST', '/admin/v1/dead-letters/discard', { body: p.body }, o)

/** Send many dead letters round again, a batch at a time */
export const replayDeadLetters = (c: Caller, p: { body: ManyLetters }, o?: CallOptions): Promise<Result<ManySettled>> =>
  c.call('POST', '/admin/v1/dead-letters/replay', { body: p.body }, o)

/** Look at a dead letter */
export const getDeadLetter = (c: Caller, p: { letter: string }, o?: CallOptions): Promise<Result<DeadLetter>> =>
  c.call('GET', `/admin/v1/dead-letters/${enc(p.letter)}`, {}, o)

/** Give a dead letter up */
export const discardDeadLetter = (c: Caller, p: { letter: string; body: Reason }, o?: CallOptions): Promise<Result<DeadLetter>> =>
  c.call('POST', `/admin/v1/dead-letters/${enc(p.letter)}/discard`, { body: p.body }, o)

/** Send a new message in place of a dead one */
export const editDeadLetter = (c: Caller, p: { letter: string; body: EditLetter }, o?: CallOptions): Promise<Result<EditedLetter>> =>
  c.call('POST', `/admin/v1/dead-letters/${enc(p.letter)}/edit`, { body: p.body }, o)

/** Send a dead letter round again */
export const replayDeadLetter = (c: Caller, p: { letter: string; body: Reason }, o?: CallOptions): Promise<Result<DeadLetter>> =>
  c.call('POST', `/admin/v1/dead-letters/${enc(p.letter)}/replay`, { body: p.body }, o)

/** Whether no work is in flight */
export const getDrained = (c: Caller, o?: CallOptions): Promise<Result<DrainedOutputBody>> =>
  c.call('GET', '/admin/v1/drained', {}, o)

/** Path of: Stream everything of one kind in stable order, as NDJSON, CSV or XLSX */
export const exportPath = (p: { name: string; format?: "ndjson" | "csv" | "xlsx" | undefined; work?: string | undefined }): string => `/admin/v1/export/${enc(p.name)}` + search({ format: p.format, work: p.work })

/** Look at the gateway's policy in use, its breakers and its shedding, in this process */
export const getGateway = (c: Caller, o?: CallOptions): Promise<Result<PolicyView>> =>
  c.call('GET', '/admin/v1/gateway', {}, o)

/** Trip or reset a breaker of the public listener, in this process */
export const actOnBreaker = (c: Caller, p: { breaker: string; body: BreakerAct }, o?: CallOptions): Promise<Result<BreakerOutputBody>> =>
  c.call('POST', `/admin/v1/gateway/breakers/${enc(p.breaker)}`, { body: p.body }, o)

/** Tell what each stage says to a call, without executing or counting it */
export const explainCall = (c: Caller, p: { body: ExplainCallRequest }, o?: CallOptions): Promise<Result<Explanation>> =>
  c.call('POST', '/admin/v1/gateway/explain', { body: p.body }, o)

/** Read the policy file again; a bad file changes nothing */
export const reloadGateway = (c: Caller, p: { body: Reason }, o?: CallOptions): Promise<Result<PolicyView>> =>
  c.call('POST', '/admin/v1/gateway/reload', { body: p.body }, o)

/** What a provider moved on a day, as we learned it, oldest first */
export const listLedger = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; provider: string | undefined; day: string | undefined }, o?: CallOptions): Promise<Result<PageLedgerEntry>> =>
  c.call('GET', '/admin/v1/ledger', { query: { limit: p.limit, cursor: p.cursor, provider: p.provider, day: p.day } }, o)

/** Path of: Watch topics of the console (server-sent events) */
export const watchConsolePath = (p: { topic: string[] | undefined }): string => '/admin/v1/live' + search({ topic: p.topic })

/** Who you are */
export const getMe = (c: Caller, o?: CallOptions): Promise<Result<MeOutputBody>> =>
  c.call('GET', '/admin/v1/me', {}, o)

/** Change your password; your other sessions end */
export const putMyPassword = (c: Caller, p: { body: OwnPasswordBody }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('PUT', '/admin/v1/me/password', { body: p.body }, o)

/** Begin a new second factor of your own: it is in force once a code of it is confirmed, within 30 minutes; beginning again replaces it */
export const putMyTotp = (c: Caller, p: { body: OwnSecondFactorBody }, o?: CallOptions): Promise<Result<SecondFactor>> =>
  c.call('PUT', '/admin/v1/me/totp', { body: p.body }, o)

/** Put the second factor that you began in force by a code of it; your other sessions end */
export const confirmMyTotp = (c: Caller, p: { body: OwnFirstCodeBody }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('POST', '/admin/v1/me/totp/confirmation', { body: p.body }, o)

/** Other systems that use the login */
export const listOidcClients = (c: Caller, o?: CallOptions): Promise<Result<PageOIDCClient>> =>
  c.call('GET', '/admin/v1/oidc-clients', {}, o)

/** Let another system use the login */
export const createOidcClient = (c: Caller, p: { body: ClientCreateBody }, o?: CallOptions): Promise<Result<OIDCClient>> =>
  c.call('POST', '/admin/v1/oidc-clients', { body: p.body }, o)

/** Take it away, with what it was granted */
export const deleteOidcClient = (c: Caller, p: { client: string; reason?: string | undefined }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('DELETE', `/admin/v1/oidc-clients/${enc(p.client)}`, { query: { reason: p.reason } }, o)

/** A system that uses the login */
export const getOidcClient = (c: Caller, p: { client: string }, o?: CallOptions): Promise<Result<OIDCClient>> =>
  c.call('GET', `/admin/v1/oidc-clients/${enc(p.client)}`, {}, o)

/** Change or disable it; disabling ends what it was granted */
export const changeOidcClient = (c: Caller, p: { client: string; body: ClientChangeBody }, o?: CallOptions): Promise<Result<OIDCClient>> =>
  c.call('PATCH', `/admin/v1/oidc-clients/${enc(p.client)}`, { body: p.body }, o)

/** Give it a new secret; the old one is over */
export const rotateOidcClient = (c: Caller, p: { client: string; body: Reason }, o?: CallOptions): Promise<Result<OIDCClient>> =>
  c.call('POST', `/admin/v1/oidc-clients/${enc(p.client)}/rotate`, { body: p.body }, o)

/** Sign ID tokens with new keys from now on */
export const rotateOidcKeys = (c: Caller, p: { body: Reason }, o?: CallOptions): Promise<Result<KeysOutputBody>> =>
  c.call('POST', '/admin/v1/oidc-keys/rotate', { body: p.body }, o)

/** Search the orders, newest first; a page may be short, or empty, and yet have a next */
export const operatorListOrders = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; q?: string | undefined; user?: string | undefined; sale?: string | undefined; key?: string | undefined; state?: "accepted" | "pending_payment" | "paid" | "fulfilled" | "cancelled" | "expired" | "refunded" | undefined } = {}, o?: CallOptions): Promise<Result<OrderPage>> =>
  c.call('GET', '/admin/v1/orders', { query: { limit: p.limit, cursor: p.cursor, q: p.q, user: p.user, sale: p.sale, key: p.key, state: p.state } }, o)

/** Look at an order */
export const operatorGetOrder = (c: Caller, p: { order: string }, o?: CallOptions): Promise<Result<OperatorOrder>> =>
  c.call('GET', `/admin/v1/orders/${enc(p.order)}`, {}, o)

/** Cancel an order that is not paid */
export const operatorCancelOrder = (c: Caller, p: { order: string; body: Reason }, o?: CallOptions): Promise<Result<OperatorOrder>> =>
  c.call('POST', `/admin/v1/orders/${enc(p.order)}/cancellation`, { body: p.body }, o)

/** Mark a paid order as fulfilled */
export const fulfilOrder = (c: Caller, p: { order: string; body: Reason }, o?: CallOptions): Promise<Result<OperatorOrder>> =>
  c.call('POST', `/admin/v1/orders/${enc(p.order)}/fulfilment`, { body: p.body }, o)

/** Give money back, wholly or partly */
export const operatorRefundOrder = (c: Caller, p: { order: string; key: string; body: RefundRequest }, o?: CallOptions): Promise<Result<OperatorOrder>> =>
  c.call('POST', `/admin/v1/orders/${enc(p.order)}/refunds`, { key: p.key, body: p.body }, o)

/** An order with its events, payments, refunds and messages that failed, in order, and what may be done to it */
export const orderTimeline = (c: Caller, p: { order: string }, o?: CallOptions): Promise<Result<OrderTimeline>> =>
  c.call('GET', `/admin/v1/orders/${enc(p.order)}/timeline`, {}, o)

/** Give back what a branch reserved */
export const cancelBranch = (c: Caller, p: { participant: string; body: ParticipantCall }, o?: CallOptions): Promise<Result<ParticipantOutputBody>> =>
  c.call('POST', `/admin/v1/participants/${enc(p.participant)}/cancel`, { body: p.body }, o)

/** Take what a branch reserved */
export const confirmBranch = (c: Caller, p: { participant: string; body: ParticipantCall }, o?: CallOptions): Promise<Result<ParticipantOutputBody>> =>
  c.call('POST', `/admin/v1/participants/${enc(p.participant)}/confirm`, { body: p.body }, o)

/** Reserve a branch */
export const tryBranch = (c: Caller, p: { participant: string; body: ParticipantCall }, o?: CallOptions): Promise<Result<ParticipantOutputBody>> =>
  c.call('POST', `/admin/v1/participants/${enc(p.participant)}/try`, { body: p.body }, o)

/** Compare stock, orders, ledger and gate */
export const reportDifferences = (c: Caller, o?: CallOptions): Promise<Result<ComparisonBody>> =>
  c.call('GET', '/admin/v1/reconcile', {}, o)

/** Mend what is safe to mend */
export const repairDifferences = (c: Caller, p: { body: Reason }, o?: CallOptions): Promise<Result<ComparisonBody>> =>
  c.call('POST', '/admin/v1/reconcile', { body: p.body }, o)

/** List the sales with their stock */
export const operatorListSales = (c: Caller, o?: CallOptions): Promise<Result<PageSaleDetail>> =>
  c.call('GET', '/admin/v1/sales', {}, o)

/** Create a sale */
export const createSale = (c: Caller, p: { body: Definition }, o?: CallOptions): Promise<Result<SaleDetail>> =>
  c.call('POST', '/admin/v1/sales', { body: p.body }, o)

/** Check the definition of a sale and see what it would make; nothing is made */
export const validateSale = (c: Caller, p: { body: Definition }, o?: CallOptions): Promise<Result<SalePreview>> =>
  c.call('POST', '/admin/v1/sales/validate', { body: p.body }, o)

/** Look at a sale */
export const operatorGetSale = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<SaleDetail>> =>
  c.call('GET', `/admin/v1/sales/${enc(p.sale)}`, {}, o)

/** Change a sale; fields left out stay */
export const patchSale = (c: Caller, p: { sale: string; ifMatch: string; body: Patch }, o?: CallOptions): Promise<Result<SaleDetail>> =>
  c.call('PATCH', `/admin/v1/sales/${enc(p.sale)}`, { ifMatch: p.ifMatch, body: p.body }, o)

/** Open, pause, resume, force sold-out or close a sale */
export const actOnSale = (c: Caller, p: { sale: string; body: ActInputBody }, o?: CallOptions): Promise<Result<SaleDetail>> =>
  c.call('POST', `/admin/v1/sales/${enc(p.sale)}/actions`, { body: p.body }, o)

/** Give a sale's draws the public value that they wait for; once, after the pot has closed */
export const giveDrawValue = (c: Caller, p: { sale: string; body: GiveDrawValueRequest }, o?: CallOptions): Promise<Result<Documents>> =>
  c.call('POST', `/admin/v1/sales/${enc(p.sale)}/draw`, { body: p.body }, o)

/** Look at the lines of a sale, one for each SKU */
export const operatorGetLine = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<PageOperatorLine>> =>
  c.call('GET', `/admin/v1/sales/${enc(p.sale)}/line`, {}, o)

/** The rehearsals of a sale that this process remembers, newest first */
export const listRehearsals = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<PageRehearsal>> =>
  c.call('GET', `/admin/v1/sales/${enc(p.sale)}/rehearsals`, {}, o)

/** Start a storm against a copy of the sale, with sandbox payments */
export const startRehearsal = (c: Caller, p: { sale: string; body: RehearsalPlan }, o?: CallOptions): Promise<Result<Rehearsal>> =>
  c.call('POST', `/admin/v1/sales/${enc(p.sale)}/rehearsals`, { body: p.body }, o)

/** Look at a rehearsal */
export const getRehearsal = (c: Caller, p: { sale: string; rehearsal: string }, o?: CallOptions): Promise<Result<Rehearsal>> =>
  c.call('GET', `/admin/v1/sales/${enc(p.sale)}/rehearsals/${enc(p.rehearsal)}`, {}, o)

/** Path of: The story of a sale with its proof; as XLSX its orders */
export const saleReportHtmlPath = (p: { sale: string }): string => `/admin/v1/sales/${enc(p.sale)}/report.html`

/** The story of a sale with its proof; as XLSX its orders */
export const saleReportJson = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<string>> =>
  c.call('GET', `/admin/v1/sales/${enc(p.sale)}/report.json`, {}, o)

/** Path of: The story of a sale with its proof; as XLSX its orders */
export const saleReportXlsxPath = (p: { sale: string }): string => `/admin/v1/sales/${enc(p.sale)}/report.xlsx`

/** Add units, or withdraw free ones */
export const offerStock = (c: Caller, p: { sale: string; key: string; body: OfferInputBody }, o?: CallOptions): Promise<Result<StockLevel>> =>
  c.call('POST', `/admin/v1/sales/${enc(p.sale)}/stock`, { key: p.key, body: p.body }, o)

/** Live sessions, newest first */
export const listSessions = (c: Caller, p: { user?: string | undefined } = {}, o?: CallOptions): Promise<Result<PageBackOfficeSession>> =>
  c.call('GET', '/admin/v1/sessions', { query: { user: p.user } }, o)

/** End a session */
export const endSession = (c: Caller, p: { session: string; body: Reason }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('DELETE', `/admin/v1/sessions/${enc(p.session)}`, { body: p.body }, o)

/** Compare lines of a provider's statement with our ledger */
export const compareStatement = (c: Caller, p: { body: StatementLines }, o?: CallOptions): Promise<Result<PageStatementDifference>> =>
  c.call('POST', '/admin/v1/statements', { body: p.body }, o)

/** The stock rows in one snapshot */
export const listStock = (c: Caller, p: { sale?: string | undefined } = {}, o?: CallOptions): Promise<Result<PageStockLevel>> =>
  c.call('GET', '/admin/v1/stock', { query: { sale: p.sale } }, o)

/** List transactions, newest first */
export const listTransactions = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined; state?: "trying" | "confirming" | "confirmed" | "cancelling" | "cancelled" | "needs_human" | undefined } = {}, o?: CallOptions): Promise<Result<PageTransaction>> =>
  c.call('GET', '/admin/v1/transactions', { query: { limit: p.limit, cursor: p.cursor, state: p.state } }, o)

/** Begin a TCC over named participants */
export const beginTransaction = (c: Caller, p: { body: BeginTransaction }, o?: CallOptions): Promise<Result<Transaction>> =>
  c.call('POST', '/admin/v1/transactions', { body: p.body }, o)

/** Look at a transaction, with its timeline */
export const getTransaction = (c: Caller, p: { transaction: string }, o?: CallOptions): Promise<Result<Transaction>> =>
  c.call('GET', `/admin/v1/transactions/${enc(p.transaction)}`, {}, o)

/** Decide about a transaction that needs a human */
export const resolveTransaction = (c: Caller, p: { transaction: string; body: ResolveTransactionRequest }, o?: CallOptions): Promise<Result<Transaction>> =>
  c.call('POST', `/admin/v1/transactions/${enc(p.transaction)}/resolve`, { body: p.body }, o)

/** The people of the back office, by name */
export const listUsers = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined } = {}, o?: CallOptions): Promise<Result<PageBackOfficeUser>> =>
  c.call('GET', '/admin/v1/users', { query: { limit: p.limit, cursor: p.cursor } }, o)

/** Add a person */
export const createUser = (c: Caller, p: { body: UserCreateBody }, o?: CallOptions): Promise<Result<BackOfficeUser>> =>
  c.call('POST', '/admin/v1/users', { body: p.body }, o)

/** A person */
export const getUser = (c: Caller, p: { user: string }, o?: CallOptions): Promise<Result<BackOfficeUser>> =>
  c.call('GET', `/admin/v1/users/${enc(p.user)}`, {}, o)

/** Change, disable or enable a person; a new role or disabling ends all sessions */
export const changeUser = (c: Caller, p: { user: string; body: UserChangeBody }, o?: CallOptions): Promise<Result<BackOfficeUser>> =>
  c.call('PATCH', `/admin/v1/users/${enc(p.user)}`, { body: p.body }, o)

/** End all sessions of a person */
export const logoutUser = (c: Caller, p: { user: string; body: Reason }, o?: CallOptions): Promise<Result<EndedOutputBody>> =>
  c.call('POST', `/admin/v1/users/${enc(p.user)}/logout`, { body: p.body }, o)

/** Give a person a new password; all sessions end */
export const putUserPassword = (c: Caller, p: { user: string; body: UserPasswordBody }, o?: CallOptions): Promise<Result<BackOfficeUser>> =>
  c.call('PUT', `/admin/v1/users/${enc(p.user)}/password`, { body: p.body }, o)

/** Take the second factor away; all sessions end */
export const deleteUserTotp = (c: Caller, p: { user: string; body: Reason }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('DELETE', `/admin/v1/users/${enc(p.user)}/totp`, { body: p.body }, o)

/** Give a person a new second factor, in force at once; all sessions end */
export const putUserTotp = (c: Caller, p: { user: string }, o?: CallOptions): Promise<Result<SecondFactor>> =>
  c.call('PUT', `/admin/v1/users/${enc(p.user)}/totp`, {}, o)

/** List the endpoints of outgoing webhooks */
export const listWebhooks = (c: Caller, p: { health?: "working" | "failing" | "disabled" | undefined } = {}, o?: CallOptions): Promise<Result<PageWebhookEndpoint>> =>
  c.call('GET', '/admin/v1/webhooks', { query: { health: p.health } }, o)

/** Add an endpoint; the answer shows its secret this one time */
export const createWebhook = (c: Caller, p: { body: CreateWebhookRequest }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('POST', '/admin/v1/webhooks', { body: p.body }, o)

/** Remove an endpoint with its deliveries */
export const deleteWebhook = (c: Caller, p: { webhook: string; reason?: string | undefined }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('DELETE', `/admin/v1/webhooks/${enc(p.webhook)}`, { query: { reason: p.reason } }, o)

/** Look at an endpoint */
export const getWebhook = (c: Caller, p: { webhook: string }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('GET', `/admin/v1/webhooks/${enc(p.webhook)}`, {}, o)

/** Change an endpoint; fields left out stay */
export const patchWebhook = (c: Caller, p: { webhook: string; body: PatchWebhookRequest }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('PATCH', `/admin/v1/webhooks/${enc(p.webhook)}`, { body: p.body }, o)

/** List deliveries, oldest first */
export const listWebhookDeliveries = (c: Caller, p: { webhook: string; limit?: number | undefined; cursor?: string | undefined; state?: "waiting" | "due" | "delivered" | "given-up" | undefined }, o?: CallOptions): Promise<Result<PageWebhookDelivery>> =>
  c.call('GET', `/admin/v1/webhooks/${enc(p.webhook)}/deliveries`, { query: { limit: p.limit, cursor: p.cursor, state: p.state } }, o)

/** Make a delivery again, under its webhook-id */
export const replayWebhookDelivery = (c: Caller, p: { webhook: string; delivery: string; body: Reason }, o?: CallOptions): Promise<Result<WebhookDelivery>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/deliveries/${enc(p.delivery)}/replay`, { body: p.body }, o)

/** Deliver nothing to an endpoint */
export const disableWebhook = (c: Caller, p: { webhook: string; body: Reason }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/disable`, { body: p.body }, o)

/** Deliver to an endpoint again */
export const enableWebhook = (c: Caller, p: { webhook: string; body: Reason }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/enable`, { body: p.body }, o)

/** Send a test event now and tell what came of it */
export const pingWebhook = (c: Caller, p: { webhook: string; body: Reason }, o?: CallOptions): Promise<Result<PingOutputBody>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/ping`, { body: p.body }, o)

/** Queue what an endpoint missed since a time */
export const replayWebhook = (c: Caller, p: { webhook: string; body: ReplayWebhookRequest }, o?: CallOptions): Promise<Result<ReplayedOutputBody>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/replay`, { body: p.body }, o)

/** Give an endpoint a new secret, shown this one time; the old one signs beside it for a while */
export const rotateWebhook = (c: Caller, p: { webhook: string; body: RotateWebhookRequest }, o?: CallOptions): Promise<Result<WebhookEndpoint>> =>
  c.call('POST', `/admin/v1/webhooks/${enc(p.webhook)}/rotate`, { body: p.body }, o)

/** What you have, by currency */
export const getBalance = (c: Caller, o?: CallOptions): Promise<Result<PageStanding>> =>
  c.call('GET', '/v1/balance', {}, o)

/** What changed your balance, newest first */
export const listBalanceEntries = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined } = {}, o?: CallOptions): Promise<Result<PageBalanceEntry>> =>
  c.call('GET', '/v1/balance/entries', { query: { limit: p.limit, cursor: p.cursor } }, o)

/** Path of: Watch my orders and my places (server-sent events) */
export const watchOrdersPath = (): string => '/v1/events'

/** List my orders, newest first */
export const listOrders = (c: Caller, p: { limit?: number | undefined; cursor?: string | undefined } = {}, o?: CallOptions): Promise<Result<PageOrder>> =>
  c.call('GET', '/v1/orders', { query: { limit: p.limit, cursor: p.cursor } }, o)

/** Look at an order of mine */
export const getOrder = (c: Caller, p: { order: string }, o?: CallOptions): Promise<Result<Order>> =>
  c.call('GET', `/v1/orders/${enc(p.order)}`, {}, o)

/** Cancel an order that is not paid */
export const cancelOrder = (c: Caller, p: { order: string; body: Reason }, o?: CallOptions): Promise<Result<Order>> =>
  c.call('POST', `/v1/orders/${enc(p.order)}/cancellation`, { body: p.body }, o)

/** Begin a payment */
export const payOrder = (c: Caller, p: { order: string; key: string; body: PaymentRequest }, o?: CallOptions): Promise<Result<Payment>> =>
  c.call('POST', `/v1/orders/${enc(p.order)}/payments`, { key: p.key, body: p.body }, o)

/** Give money back, wholly or partly */
export const refundOrder = (c: Caller, p: { order: string; key: string; body: RefundRequest }, o?: CallOptions): Promise<Result<Order>> =>
  c.call('POST', `/v1/orders/${enc(p.order)}/refunds`, { key: p.key, body: p.body }, o)

/** A provider reports */
export const paymentCallback = (c: Caller, p: { provider: string; body: string }, o?: CallOptions): Promise<Result<undefined>> =>
  c.call('POST', `/v1/payment-callbacks/${enc(p.provider)}`, { body: p.body }, o)

/** List the sales */
export const listSales = (c: Caller, o?: CallOptions): Promise<Result<PageView>> =>
  c.call('GET', '/v1/sales', {}, o)

/** Look at a sale */
export const getSale = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<View>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}`, {}, o)

/** Try to buy */
export const attempt = (c: Caller, p: { sale: string; key: string; body: AttemptRequest }, o?: CallOptions): Promise<Result<Won | Unknown>> =>
  c.call('POST', `/v1/sales/${enc(p.sale)}/attempts`, { key: p.key, body: p.body }, o)

/** Ask what a key is bound to */
export const getAttempt = (c: Caller, p: { sale: string; key: string }, o?: CallOptions): Promise<Result<AttemptAnswer>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}/attempts/${enc(p.key)}`, {}, o)

/** Ask why an attempt was answered as it was */
export const explainAttempt = (c: Caller, p: { sale: string; key: string }, o?: CallOptions): Promise<Result<Why>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}/attempts/${enc(p.key)}/why`, {}, o)

/** What is published of a sale's draws */
export const getDraw = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<Documents>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}/draw`, {}, o)

/** Join the line or the draw of a sale */
export const joinLine = (c: Caller, p: { sale: string; body: LineRequest }, o?: CallOptions): Promise<Result<LineEntry>> =>
  c.call('POST', `/v1/sales/${enc(p.sale)}/line`, { body: p.body }, o)

/** Leave a line */
export const leaveLine = (c: Caller, p: { sale: string; entry: string }, o?: CallOptions): Promise<Result<LineEntry>> =>
  c.call('DELETE', `/v1/sales/${enc(p.sale)}/line/${enc(p.entry)}`, {}, o)

/** Look at one's entry, and be there */
export const getLineEntry = (c: Caller, p: { sale: string; entry: string }, o?: CallOptions): Promise<Result<LineEntry>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}/line/${enc(p.entry)}`, {}, o)

/** Exchange the token for a pass */
export const exchangePass = (c: Caller, p: { sale: string }, o?: CallOptions): Promise<Result<PassOutputBody>> =>
  c.call('POST', `/v1/sales/${enc(p.sale)}/pass`, {}, o)

/** Wait for units that come back */
export const joinWaitingList = (c: Caller, p: { sale: string; key: string; body: WaitingRequest }, o?: CallOptions): Promise<Result<WaitingEntry>> =>
  c.call('POST', `/v1/sales/${enc(p.sale)}/waiting`, { key: p.key, body: p.body }, o)

/** Leave a waiting list */
export const leaveWaitingList = (c: Caller, p: { sale: string; entry: string }, o?: CallOptions): Promise<Result<WaitingEntry>> =>
  c.call('DELETE', `/v1/sales/${enc(p.sale)}/waiting/${enc(p.entry)}`, {}, o)

/** Look at one's entry */
export const getWaitingEntry = (c: Caller, p: { sale: string; entry: string }, o?: CallOptions): Promise<Result<WaitingEntry>> =>
  c.call('GET', `/v1/sales/${enc(p.sale)}/waiting/${enc(p.entry)}`, {}, o)
