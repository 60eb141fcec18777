/*
 * The step of a module: what it expects its tensors to be, and how rows come
 * into them. A module whose statistics causal.h has is asked for the evidence,
 * and for the band where somebody wants it; any other does it all in step().
 */
#include "model_torch.hpp"

#include <cmath>
#include <cstring>

#include <torch/csrc/jit/passes/freeze_module.h>

namespace
{

using torch::Tensor;
using torch::jit::IValue;

/* Rows of a batch that are stepped together: their tensors fit the cache. */
constexpr size_t CHUNK = 1024;
/* Rows of the step that checks a module's shapes. */
constexpr int64_t PROBE = 64;

void expect_shape(const Tensor &tensor, const char *what,
                  std::vector<int64_t> sizes)
{
    TORCH_CHECK(tensor.sizes() == c10::IntArrayRef(sizes) &&
                    tensor.scalar_type() == torch::kFloat32,
                what, " is ", tensor.scalar_type(), tensor.sizes(),
                ", not Float", c10::IntArrayRef(sizes));
}

} // namespace

torch::Tensor model_first_state(struct model *model, int64_t batch,
                                int64_t columns)
{
    std::vector<IValue> arguments{batch};

    /* A module that serves one F only may take one argument. */
    if (columns != (int64_t)model->shape.feature_count) {
        arguments.push_back(columns);
    }
    return model->module.get_method("initial")(arguments)
        .toTensor()
        .contiguous();
}

const float *model_floor(struct model *model, int64_t columns)
{
    if (model->floor.size() != (size_t)columns) {
        Tensor floor = model->module.get_method("floor")({columns}).toTensor();

        expect_shape(floor, "floor", {columns, 1});
        floor = floor.contiguous();
        model->floor.assign(floor.data_ptr<float>(),
                            floor.data_ptr<float>() + columns);
    }
    return model->floor.data();
}

namespace
{

torch::jit::Module *stepper(model *model)
{
    if (model->frozen == nullptr) {
        torch::jit::Module copy = model->module.deepcopy();

        copy.eval();
        model->frozen = std::make_unique<torch::jit::Module>(
            model->native ? torch::jit::freeze_module(copy, {"judge", "band"})
                          : torch::jit::freeze_module(copy, {"step"}));
    }
    return model->frozen.get();
}

/* What a step tells; without a band where none is wanted, without a state
 * where it moved in place. */
struct outputs {
    Tensor expected, low, high, evidence, state;
};

/* The tensors that a method returns, one or a tuple of them. */
void take(model *model, const char *method, const std::vector<IValue> &with,
          std::vector<Tensor *> into)
{
    IValue result = stepper(model)->get_method(method)(with);

    if (into.size() == 1 && result.isTensor()) {
        *into[0] = result.toTensor().contiguous();
        return;
    }
    TORCH_CHECK(result.isTuple() &&
                    result.toTupleRef().elements().size() == into.size(),
                method, "() does not return ", into.size(), " tensors");
    for (size_t i = 0; i < into.size(); i++) {
        const IValue &item = result.toTupleRef().elements()[i];

        TORCH_CHECK(item.isTensor(), method, "() does not return ", into.size(),
                    " tensors");
        *into[i] = item.toTensor().contiguous();
    }
}

float *state_of(const struct model_step &in, size_t row)
{
    return in.state + (in.slots != NULL ? in.slots[row] : row) * in.state_size;
}

outputs call_step(model *model, int64_t rows, int64_t columns,
                  const struct model_step &in)
{
    const model_shape &shape = model->shape;
    int64_t lags = shape.lag_count, seasons = shape.season_count;
    size_t size = in.state_size;
    outputs out;

    model->memory.resize(std::max(rows * size, model->memory.size()));
    for (int64_t i = 0; i < rows; i++) {
        memcpy(&model->memory[i * size], state_of(in, i), size * sizeof(float));
    }
    take(model, "step",
         {model_view(in.x, {rows, columns}),
          model_view(in.past, {rows, lags, columns}),
          model_view(in.season,
                     {rows, seasons, model_season_width(model, columns)}),
          model_view(model->memory.data(), {rows, (int64_t)size})},
         {&out.expected, &out.low, &out.high, &out.evidence, &out.state});
    return out;
}

/* The same by our own statistics. */
outputs call_judge(model *model, int64_t rows, int64_t columns,
                   const struct model_step &in)
{
    struct causal_step step = {};
    std::vector<int64_t> area = {columns, rows};
    outputs out;
    size_t size;

    step.batch = (size_t)rows;
    step.columns = (unsigned)columns;
    step.season_columns = model_season_width(model, columns);
    step.floor = model_floor(model, columns);
    step.x = in.x;
    step.season = in.season;
    step.state = in.state;
    step.slots = in.slots;
    size = step.batch * step.columns * CAUSAL_WIDTH;
    model->memory.resize(std::max(size, model->memory.size()));
    causal_results(&step, model->memory.data(), in.expected != NULL);
    causal_step(&step);
    take(model, "judge",
         {model_view(in.x, {rows, columns}),
          model_view(step.inputs, {CAUSAL_INPUTS, columns, rows}),
          model_view(step.novelty, area)},
         {&out.evidence});
    if (in.expected != NULL) {
        take(model, "band",
             {model_view(step.facts, {CAUSAL_FACTS, columns, rows}),
              model_view(step.candidates, {CAUSAL_CANDIDATES, columns, rows}),
              model_view(step.scale, area), model_view(step.lowest, area)},
             {&out.expected, &out.low, &out.high});
    }
    return out;
}

/* What the module itself says of the state, and of rows of NaN. */
outputs probe_step(model *model, int64_t columns, struct model_step *in,
                   const Tensor &s)
{
    outputs out;

    TORCH_CHECK(s.dim() == 2 && s.size(0) == PROBE && s.size(1) <= STATE_MAX &&
                    s.scalar_type() == torch::kFloat32,
                "initial() does not return s[B,S]");
    in->state = s.data_ptr<float>();
    in->state_size = (unsigned)s.size(1);
    if (!model->native) {
        out = call_step(model, PROBE, columns, *in);
        expect_shape(out.state, "the next state", {PROBE, s.size(1)});
        return out;
    }
    TORCH_CHECK(
        (size_t)s.size(1) ==
            causal_state((unsigned)columns, model_season_width(model, columns)),
        "the state is not that of statistics \"", CAUSAL_NAME, "\"");
    return call_judge(model, PROBE, columns, *in);
}

/* Of rows [at, at + rows) of a step. */
struct model_step part_of(const model *model, const struct model_step *step,
                          size_t at)
{
    struct model_step part = *step;
    size_t F = step->columns;

    part.x += at * F;
    part.past += at * model->shape.lag_count * F;
    part.season +=
        at * model->shape.season_count * model_season_width(model, (int64_t)F);
    if (step->slots != NULL) {
        part.slots += at;
    } else {
        part.state += at * step->state_size;
    }
    return part;
}

void copy_out(float *to, size_t at, const Tensor &from)
{
    memcpy(to + at * (size_t)from.size(1), from.data_ptr<float>(),
           from.nbytes());
}

} // namespace

void model_probe(struct model *model, int64_t columns, unsigned *state,
                 unsigned *evidence)
{
    const model_shape &shape = model->shape;
    size_t wide = (size_t)PROBE * ((size_t)columns * (4 + shape.lag_count) +
                                   shape.season_count * 2);
    std::vector<float> nan(wide, std::nanf(""));
    c10::InferenceMode inference;
    struct model_step in = {};
    outputs out;
    Tensor s = model_first_state(model, PROBE, columns);

    in.x = nan.data();
    in.expected = nan.data(); /* a band is wanted */
    in.past = in.x + PROBE * columns;
    in.season = in.past + PROBE * columns * (int64_t)shape.lag_count;
    out = probe_step(model, columns, &in, s);
    TORCH_CHECK(out.evidence.dim() == 2, "evidence is not [B,E]");
    *evidence = (unsigned)out.evidence.size(1);
    *state = in.state_size;
    expect_shape(out.expected, "expected", {PROBE, columns});
    expect_shape(out.low, "low", {PROBE, columns});
    expect_shape(out.high, "high", {PROBE, columns});
    expect_shape(out.evidence, "evidence", {PROBE, *evidence});
}

extern "C" int model_sizes(struct model *model, unsigned columns,
                           unsigned *state, unsigned *evidence, struct err *err)
{
    return guard(err, "step", [&] {
        model_probe(model, columns, state, evidence);
        return 0;
    });
}

extern "C" int model_initial(struct model *model, unsigned columns,
                             size_t batch, float *state, struct err *err)
{
    return guard(err, "initial", [&] {
        c10::InferenceMode inference;
        Tensor s = model_first_state(model, (int64_t)batch, columns);

        memcpy(state, s.data_ptr<float>(), s.nbytes());
        return 0;
    });
}

extern "C" int model_step(struct model *model, const struct model_step *step,
                          struct err *err)
{
    return guard(err, "step", [&] {
        c10::InferenceMode inference;
        size_t at, rows;

        for (at = 0; at < step->batch; at += rows) {
            struct model_step part = part_of(model, step, at);
            outputs out;

            rows = std::min(CHUNK, step->batch - at);
            out = (model->native ? call_judge : call_step)(model, (int64_t)rows,
                                                           step->columns, part);
            copy_out(step->evidence, at, out.evidence);
            if (step->expected != NULL) {
                copy_out(step->expected, at, out.expected);
                copy_out(step->low, at, out.low);
                copy_out(step->high, at, out.high);
            }
            for (size_t i = 0; !model->native && i < rows; i++) {
                memcpy(state_of(part, i),
                       out.state.data_ptr<float>() + i * part.state_size,
                       part.state_size * sizeof(float));
            }
        }
        return 0;
    });
}
