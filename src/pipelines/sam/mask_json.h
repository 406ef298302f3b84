#pragma once

#include "data/json.h"
#include "imaging/mask.h"
#include "imaging/rle.h"
#include "pipelines/sam/everything.h"

namespace tenon::sam {

// Masks as the command line and the server write them.

// COCO's form, compressed: what pycocotools decodes. {"size": [height, width], "counts": "..."}
data::Json to_json(const imaging::Rle& rle);
// [x, y, width, height] as the original's records have it: width is the last edge minus the first.
data::Json to_json(const imaging::Box& box);
// {"outer": [[x0, y0, x1, y1, ...], ...], "holes": [...]}: corners between pixels.
data::Json polygons_json(const imaging::Mask& mask);
// {"area", "bbox", "predicted_iou", "segmentation"} of a mask that a prompt gave.
data::Json to_json(const imaging::Mask& mask, float predicted_iou);
// The same with "point_coords", "stability_score" and "crop_box", as the original's generator.
data::Json to_json(const FoundMask& found);

}  // namespace tenon::sam
