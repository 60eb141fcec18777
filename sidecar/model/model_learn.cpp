/*
 * The loss of a module and its training. Statistics that causal.h has are
 * computed there: by torch they are nine tenths of a step. What they tell is
 * constant to the gradient, as they have no parameters.
 */
#include "model_torch.hpp"

#include <cmath>
#include <mutex>

#include <torch/nn/utils/clip_grad.h>

namespace
{

using torch::Tensor;
using torch::jit::IValue;

std::mutex seeding; /* torch has one generator for the whole process */

/* What a method says of ticks that follow each other, [T][C,F,B], as channels
 * of rows by tick: [C,F,T*B]. */
Tensor by_channel(const Tensor &ticks)
{
    return ticks.permute({1, 2, 0, 3})
        .reshape({ticks.size(1), ticks.size(2), -1});
}

/* The statistics of windows from a cold start: x [B,T,F], season [B,T,P,Q] ->
 * inputs, facts, candidates [C,F,T*B], scale [F,T*B]. */
std::vector<Tensor> replay(struct model *model, const Tensor &x,
                           const Tensor &season)
{
    int64_t B = x.size(0), T = x.size(1), F = x.size(2);
    Tensor rows = x.transpose(0, 1).contiguous();
    Tensor bins = season.transpose(0, 1).contiguous();
    Tensor state = model_first_state(model, B, F);
    Tensor inputs = torch::empty({T, CAUSAL_INPUTS, F, B});
    Tensor facts = torch::empty({T, CAUSAL_FACTS, F, B});
    Tensor candidates = torch::empty({T, CAUSAL_CANDIDATES, F, B});
    Tensor scale = torch::empty({T, 1, F, B});
    Tensor spare = torch::empty({2, F, B});
    struct causal_step step = {};

    step.batch = (size_t)B;
    step.columns = (unsigned)F;
    step.season_columns = model_season_width(model, F);
    step.floor = model_floor(model, F);
    step.state = state.data_ptr<float>();
    step.novelty = spare.data_ptr<float>();
    step.lowest = step.novelty + F * B;
    for (int64_t t = 0; t < T; t++) {
        step.x = rows[t].data_ptr<float>();
        step.season = bins[t].data_ptr<float>();
        step.inputs = inputs[t].data_ptr<float>();
        step.facts = facts[t].data_ptr<float>();
        step.candidates = candidates[t].data_ptr<float>();
        step.scale = scale[t].data_ptr<float>();
        causal_step(&step);
    }
    return {by_channel(inputs), by_channel(facts), by_channel(candidates),
            by_channel(scale)[0]};
}

IValue learn_natively(struct model *model, const Tensor &x,
                      const Tensor &season)
{
    IValue disturbed = model->module.get_method("disturb")({x});
    std::vector<IValue> arguments{disturbed};

    TORCH_CHECK(disturbed.isTensorList() && disturbed.toListRef().size() > 0 &&
                    disturbed.toTensorVector()[0].sizes() == x.sizes(),
                "disturb() does not return a list that begins with x");
    {
        torch::NoGradGuard no_grad;

        for (Tensor &part :
             replay(model, disturbed.toTensorVector()[0], season)) {
            arguments.emplace_back(std::move(part));
        }
    }
    return model->module.get_method("learn")(arguments);
}

Tensor run_loss(struct model *model, const struct model_windows *windows,
                uint64_t seed)
{
    const model_shape &shape = model->shape;
    int64_t B = (int64_t)windows->batch, T = (int64_t)windows->ticks;
    int64_t F = windows->columns;
    Tensor x = model_view(windows->x, {B, T, F});
    Tensor season = model_view(windows->season, {B, T, shape.season_count,
                                                 model_season_width(model, F)});
    std::lock_guard<std::mutex> hold(seeding);
    IValue result;

    torch::manual_seed(seed);
    if (model->native && model->module.find_method("disturb") &&
        model->module.find_method("learn")) {
        result = learn_natively(model, x, season);
    } else {
        result = model->module.get_method("loss")(
            {x, model_view(windows->past, {B, T, shape.lag_count, F}), season});
    }
    TORCH_CHECK(result.isTensor() && result.toTensor().numel() == 1,
                "loss() does not return a scalar");
    return result.toTensor();
}

} // namespace

extern "C" int model_loss(struct model *model,
                          const struct model_windows *windows, uint64_t seed,
                          double *loss, struct err *err)
{
    return guard(err, "loss", [&] {
        torch::NoGradGuard no_grad;
        *loss = run_loss(model, windows, seed).item<double>();
        return 0;
    });
}

extern "C" int model_train(struct model *model,
                           const struct model_windows *windows,
                           double learning_rate, uint64_t seed, double *loss,
                           struct err *err)
{
    return guard(err, "train", [&] {
        Tensor value;

        if (model->optimizer == nullptr) {
            std::vector<Tensor> parameters;

            for (const Tensor &p : model->module.parameters()) {
                parameters.push_back(p);
            }
            model->optimizer = std::make_unique<torch::optim::AdamW>(
                parameters, torch::optim::AdamWOptions(learning_rate));
        }
        for (auto &group : model->optimizer->param_groups()) {
            group.options().set_lr(learning_rate);
        }
        model->optimizer->zero_grad();
        value = run_loss(model, windows, seed);
        *loss = value.item<double>();
        TORCH_CHECK(std::isfinite(*loss), "the loss is ", *loss);
        value.backward();
        torch::nn::utils::clip_grad_norm_(
            model->optimizer->param_groups()[0].params(), 1.0);
        model->optimizer->step();
        model->frozen.reset();
        return 0;
    });
}
