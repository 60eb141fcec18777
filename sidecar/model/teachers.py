"""Several networks of one column that learn the same from other beginnings.

Trained on synthetic series alone, networks agree where there are many of a
kind and differ on what real series do: figures on those scatter from training
to training. The mean of several is steadier and better than each; but one is
all that there is time for each second. So the network that is shipped learns
from the mean of the others what to say of a single column (Hinton, Vinyals,
Dean: Distilling the knowledge in a neural network, 2015).
"""
import torch
from torch import nn

from causal import INPUTS
from network import OWN

# Of the heads A and B. Each is a network of its own: what the one has to
# ignore the other lives on.
LAYERS = ((OWN, 24, 16, 16, 1), (len(INPUTS), 32, 24, 24, 1))


class Head(nn.Module):
    def __init__(self, count, layers):
        super().__init__()
        self.wide = layers[0]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for wide, narrow in zip(layers, layers[1:]):
            size = wide ** -.5
            self.weights.append(nn.Parameter(
                (torch.rand(count, narrow, wide) * 2. - 1.) * size))
            self.biases.append(nn.Parameter(
                (torch.rand(count, narrow, 1) * 2. - 1.) * size))
        with torch.no_grad():
            self.weights[-1].mul_(.3)
            self.biases[-1].fill_(-3.)

    def forward(self, inputs):
        """inputs [C,1,N] -> log odds [K,1,N]"""
        h = inputs[:self.wide, 0].expand(self.weights[0].shape[0], -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            h = torch.baddbmm(bias, weight, h).clamp(0., 16.)
        return torch.baddbmm(self.biases[-1], self.weights[-1], h)


class Teachers(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.count = count
        self.heads = nn.ModuleList(Head(count, layers) for layers in LAYERS)

    def forward(self, inputs):
        """inputs [C,1,N] -> log odds of the heads A and B [K,2,N]"""
        return torch.cat([head(inputs) for head in self.heads], 1)

    def say(self, inputs):
        """The mean of all, [2,N]."""
        with torch.no_grad():
            return self(inputs).mean(0)

    def loss(self, inputs, joint, weight):
        """joint and weight [2,N]"""
        error = nn.functional.binary_cross_entropy_with_logits(
            self(inputs), joint.expand(self.count, -1, -1), weight,
            reduction='none')
        return (error.sum(2) / weight.sum(1).clamp(min=1.)).sum()
