"""The peer of the benchmarks: webhook intake and stock moves as a careful FastAPI + asyncpg service.

Each write is one statement, so one round trip and one transaction; the connection pool is small because the
database shares the machine. Run by script/bench as `uvicorn app:app`; settings: DATABASE_URL, WEBHOOK_SECRET,
SECRET_KEY, POOL.
`python3 app.py token` prints a bearer token.
"""

import hmac
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import List, Optional, Union

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Extra, ValidationError, conint, constr

ORGANISATION = 1
WINDOW = timedelta(minutes=5)
MAX_PAYLOAD = 1024

# A data-modifying CTE is one transaction: the job exists exactly if the event is new.
STORE_EVENT = """
WITH event AS (
    INSERT INTO inbox (org_id, source, event_id, body) VALUES ($1, 'shipstation', $2, $3)
    ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO job (queue, name, inbox_id) SELECT 'default', 'shipment_apply', id FROM event RETURNING id
"""

# The guard stands in the update. Nothing happens if the move is known or the place has too little; of two
# that come at once with one key, the unique constraint ends the second one whole.
STORE_MOVE = """
WITH taken AS (
    UPDATE stock_level SET on_hand = on_hand - $3
    WHERE org_id = $1 AND sku = $2 AND place = $4 AND (NOT bounded OR on_hand >= $3) AND NOT EXISTS (
        SELECT FROM stock_move WHERE org_id = $1 AND source = $7 AND source_ref = $8 AND sku = $2
        AND from_place = $4 AND to_place = $5)
    RETURNING org_id),
given AS (
    UPDATE stock_level SET on_hand = on_hand + $3
    FROM taken WHERE stock_level.org_id = taken.org_id AND sku = $2 AND place = $5),
moved AS (
    INSERT INTO stock_move (org_id, sku, quantity, from_place, to_place, reason, source, source_ref, actor)
    SELECT org_id, $2, $3, $4, $5, $6, $7, $8, $9 FROM taken RETURNING *),
logged AS (
    INSERT INTO audit (org_id, actor, action, subject) SELECT org_id, actor, 'stock.move', id FROM moved)
SELECT * FROM moved
"""
FIND_MOVE = """
SELECT * FROM stock_move
WHERE org_id = $1 AND sku = $2 AND from_place = $3 AND to_place = $4 AND source = $5 AND source_ref = $6
"""
COUNT_LEVELS = "SELECT count(*) FROM stock_level WHERE org_id = $1 AND sku = $2 AND place IN ($3, $4)"
FIND_ITEM = "SELECT sku, name, brand, created_at, updated_at FROM item WHERE org_id = $1 AND sku = $2"


class Line(BaseModel):
    sku: constr(min_length=1, max_length=64)
    quantity: conint(strict=True, gt=0)


class Shipment(BaseModel):
    shipmentId: Union[constr(strict=True, min_length=1, max_length=64), conint(strict=True)]
    orderId: constr(min_length=1, max_length=64)
    channel: constr(min_length=1, max_length=64)
    status: constr(regex="^(awaiting_shipment|shipped|cancelled|voided|returned)$")
    timestamp: datetime
    items: List[Line]


class Move(BaseModel):
    sku: constr(min_length=1, max_length=64)
    quantity: conint(strict=True, gt=0)
    from_: constr(min_length=1, max_length=64)
    to: constr(min_length=1, max_length=64)
    reason: constr(min_length=1, max_length=200)
    source: constr(min_length=1, max_length=64)
    source_ref: constr(min_length=1, max_length=200)

    class Config:
        extra = Extra.forbid
        fields = {"from_": "from"}


app = FastAPI()
secret = os.environ.get("WEBHOOK_SECRET", "").encode()
key = os.environ.get("SECRET_KEY", "")


@app.on_event("startup")
async def open_pool():
    size = int(os.environ.get("POOL", "8"))
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=size, max_size=size)


@app.on_event("shutdown")
async def close_pool():
    await app.state.pool.close()


async def actor(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer":
            raise jwt.InvalidTokenError()
        return jwt.decode(token, key, algorithms=["HS256"], audience="peer")["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(401, "no or bad token")


@app.get("/status/health")
async def health():
    return JSONResponse({"status": "ok"})


@app.post("/webhooks/shipstation")
async def shipstation(request: Request) -> Response:
    given = request.headers.get("x-shipstation-signature")
    if not given:
        raise HTTPException(401, "no signature")
    if int(request.headers.get("content-length", 0)) > MAX_PAYLOAD:
        raise HTTPException(413, "too large")
    body = await request.body()
    if not hmac.compare_digest(hmac.digest(secret, body, "sha256").hex(), given):
        raise HTTPException(403, "wrong signature")
    try:
        shipment = Shipment.parse_raw(body)
    except ValidationError as error:
        return JSONResponse({"detail": error.errors()}, 422)
    if shipment.timestamp.tzinfo is None or abs(datetime.now(timezone.utc) - shipment.timestamp) > WINDOW:
        raise HTTPException(403, "outside the window")
    event = f"{shipment.shipmentId}:{shipment.status}"
    new = await app.state.pool.fetchval(STORE_EVENT, ORGANISATION, event, body)
    return JSONResponse({"status": "ok" if new else "duplicate"})


def move_row(row: asyncpg.Record) -> dict:
    return {"id": row["id"], "sku": row["sku"], "quantity": row["quantity"], "from": row["from_place"],
            "to": row["to_place"], "reason": row["reason"], "source": row["source"],
            "source_ref": row["source_ref"], "at": row["recorded_at"].isoformat(), "actor": row["actor"]}


async def known_move(move: Move) -> Optional[asyncpg.Record]:
    return await app.state.pool.fetchrow(FIND_MOVE, ORGANISATION, move.sku, move.from_, move.to, move.source,
                                         move.source_ref)


@app.post("/api/v1/stock/moves")
async def stock_move(move: Move, who: str = Depends(actor)) -> Response:
    row = None
    for _ in range(3):
        try:
            row = await app.state.pool.fetchrow(
                STORE_MOVE, ORGANISATION, move.sku, move.quantity, move.from_, move.to, move.reason,
                move.source, move.source_ref, who)
            break
        except asyncpg.UniqueViolationError:
            break
        except asyncpg.DeadlockDetectedError:
            continue
    else:
        raise HTTPException(503, "try again", {"Retry-After": "1"})
    if row:
        return JSONResponse({"data": move_row(row), "error": None}, 201)
    row = await known_move(move)
    if row and (row["quantity"], row["reason"]) == (move.quantity, move.reason):
        return JSONResponse({"data": move_row(row), "error": None})
    if row:
        raise HTTPException(409, "another move has this source_ref")
    levels = await app.state.pool.fetchval(COUNT_LEVELS, ORGANISATION, move.sku, move.from_, move.to)
    if levels < 2:
        raise HTTPException(422, "unknown sku or place")
    raise HTTPException(409, "insufficient stock")


@app.get("/api/v1/catalog/{sku}")
async def item(sku: str, _: str = Depends(actor)) -> Response:
    row = await app.state.pool.fetchrow(FIND_ITEM, ORGANISATION, sku)
    if not row:
        raise HTTPException(404, "no such item")
    data = dict(row, created_at=row["created_at"].isoformat(), updated_at=row["updated_at"].isoformat())
    return JSONResponse({"data": data, "error": None})


if __name__ == "__main__" and sys.argv[1:] == ["token"]:
    expires = datetime.now(timezone.utc) + timedelta(hours=12)
    print(jwt.encode({"sub": "bench", "aud": "peer", "exp": expires}, key, algorithm="HS256"))
