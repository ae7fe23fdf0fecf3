/* Draws world.js, the land of the world that maps of scans are drawn on:

     node voketag/ops/pages/world.mjs > voketag/ops/pages/world.js

   From Natural Earth 1:110m (naturalearthdata.com, public domain) as the package world-atlas ships
   it: TopoJSON, whose arcs are differences of whole numbers. Equirectangular: a degree is as many
   units east as it is north, so a place is found on the map by two subtractions. Antarctica, where
   nothing is sold, is left out. */

import { readFileSync } from "node:fs";

const SOURCE = new URL("../../../node_modules/world-atlas/land-110m.json", import.meta.url);
const UNITS_A_DEGREE = 5;
const [WEST, EAST, NORTH, SOUTH] = [-180, 180, 84, -57];

const { arcs, transform, objects } = JSON.parse(readFileSync(SOURCE, "utf8"));

/** An arc in degrees, [longitude, latitude]. */
function degrees(index) {
  let [x, y] = [0, 0];
  const points = arcs[index < 0 ? ~index : index].map(([dx, dy]) => {
    [x, y] = [x + dx, y + dy];
    return [
      x * transform.scale[0] + transform.translate[0],
      y * transform.scale[1] + transform.translate[1],
    ];
  });
  return index < 0 ? points.reverse() : points;
}

/** A ring of arcs, in the map's units, without points that lie on one another. */
function ring(indices) {
  // The last point of an arc is the first of the next one.
  const points = indices.flatMap((index, place) => degrees(index).slice(place && 1));
  let turn = 0;
  const placed = points.map(([longitude, latitude], place) => {
    const step = place && longitude - points[place - 1][0];
    if (Math.abs(step) > 180) turn -= Math.sign(step) * 360; // over the edge of the map
    return [
      Math.round((longitude + turn - WEST) * UNITS_A_DEGREE),
      Math.round((NORTH - latitude) * UNITS_A_DEGREE),
    ];
  });
  return placed.filter(
    ([x, y], place) => place === 0 || x !== placed[place - 1][0] || y !== placed[place - 1][1],
  );
}

/* Land that lies across an edge is drawn at both of them; what is outside of the map is cut off. */
function atBothEdges(points) {
  const width = (EAST - WEST) * UNITS_A_DEGREE;
  const [least, most] = [Math.min, Math.max].map((of) => of(...points.map(([x]) => x)));
  const moved = (by) => points.map(([x, y]) => [x + by, y]);
  return [points, ...(least < 0 ? [moved(width)] : []), ...(most > width ? [moved(-width)] : [])];
}

function drawn([[left, top], ...points]) {
  let [x, y] = [left, top];
  const steps = points.slice(0, -1).map(([nextX, nextY]) => {
    const step = `${nextX - x} ${nextY - y}`;
    [x, y] = [nextX, nextY];
    return step;
  });
  return `M${left} ${top}l${steps.join(" ")}z`.replaceAll(" -", "-");
}

const rings = objects.land.geometries
  .flatMap((geometry) => geometry.arcs.flat())
  .map(ring)
  .filter((points) => points.length > 3)
  .filter((points) => points.every(([, y]) => y < (NORTH - SOUTH) * UNITS_A_DEGREE))
  .flatMap(atBothEdges);

process.stdout
  .write(`/* The land of the world: Natural Earth 1:110m, public domain. Drawn by world.mjs, which says how. */

export const UNITS_A_DEGREE = ${UNITS_A_DEGREE};
export const WEST = ${WEST};
export const NORTH = ${NORTH};
export const WIDTH = ${(EAST - WEST) * UNITS_A_DEGREE};
export const HEIGHT = ${(NORTH - SOUTH) * UNITS_A_DEGREE};
export const LAND =
  "${rings.map(drawn).join("")}";
`);
